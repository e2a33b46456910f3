//! imap-codec as a second opinion: what we read, it reads as the same; what we print, it can read.

use imap_codec::decode::{CommandDecodeError, Decoder, GreetingDecodeError, ResponseDecodeError};
use imap_codec::{CommandCodec, GreetingCodec, ResponseCodec};

use super::rewrite;
use crate::imap::command;

/// What we print that imap-codec does not know (it has no ESEARCH, LIST-STATUS, APPENDLIMIT and so
/// on).
const UNKNOWN_RESPONSES: [&str; 5] =
    ["* ESEARCH", "CHILDINFO", "DELETED ", "(MODSEQ", "* ENABLED\r"];
/// What we read that imap-codec does not know or refuses.
const UNKNOWN_COMMANDS: [&str; 7] =
    ["RETURN", "LIST (", "YOUNGER", "OLDER", "MODSEQ", "LIST \"\" (", "STATUS"];

/// Everything the server sends can be read by somebody else.
pub(super) fn responses(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let text = String::from_utf8_lossy(rest);
        let line = text.lines().next().unwrap_or_default().to_owned();
        let line_end =
            rest.windows(2).position(|pair| pair == b"\r\n").map_or(rest.len(), |at| at + 2);
        let greeting = line.starts_with("* OK [CAPABILITY") || line.starts_with("* BYE");
        if greeting {
            match GreetingCodec::default().decode(rest) {
                Ok((after, _)) => {
                    rest = after;
                    continue;
                }
                Err(GreetingDecodeError::Incomplete) => panic!("incomplete: {line}"),
                Err(error) => panic!("imap-codec can't read {line:?}: {error:?}"),
            }
        }
        match ResponseCodec::default().decode(rest) {
            Ok((after, _)) => rest = after,
            Err(_)
                if UNKNOWN_RESPONSES
                    .iter()
                    .any(|known| text[..line_end.min(text.len())].contains(known)) =>
            {
                rest = &rest[line_end..]
            }
            Err(ResponseDecodeError::Incomplete) => panic!("incomplete: {text}"),
            Err(error) => panic!("imap-codec can't read {line:?}: {error:?}"),
        }
    }
}

/// Whole commands are read by both or by neither.
pub(super) fn command(text: &str) {
    let known = UNKNOWN_COMMANDS.iter().all(|unknown| !text.to_ascii_uppercase().contains(unknown));
    let upper = text.to_ascii_uppercase();
    if !known
        || upper.contains(" APPEND ")
        || upper.starts_with("DONE")
        || !text.contains(' ')
        || upper.ends_with(" \r\n")
    {
        // We let a last space pass, which it does not.
        return;
    }
    // imap-codec stops at a literal to have it acknowledged; with `+` it reads on.
    let ours = command::parse(text.trim_end_matches("\r\n").as_bytes());
    let mut input = text.as_bytes().to_vec();
    if !input.ends_with(b"\r\n") {
        input.extend_from_slice(b"\r\n");
    }
    let theirs = CommandCodec::default().decode(&input);
    match (&ours, &theirs) {
        (Ok(_), Ok(([], _))) => {}
        (_, Err(CommandDecodeError::LiteralFound { .. } | CommandDecodeError::Incomplete)) => {}
        (Err(_), Err(_)) => {}
        // imap-codec leaves the folder's name as it came.
        (Err(unreadable), Ok(_)) if unreadable.bad.0.contains("UTF-7") => {}
        _ => panic!("{text:?}\nours: {ours:?}\ntheirs: {theirs:?}"),
    }
}

/// What we read, written down again, is to imap-codec what the original was.
pub(super) fn same_meaning(text: &str) {
    let theirs = |text: &str| match CommandCodec::default().decode(text.as_bytes()) {
        Ok(([], command)) => format!("{command:?}"),
        other => panic!("imap-codec can't read {text:?}: {other:?}"),
    };
    let ours = command::parse(text.trim_end().as_bytes())
        .unwrap_or_else(|error| panic!("we can't read {text:?}: {error:?}"));
    assert_eq!(theirs(text), theirs(&rewrite::command(&ours)), "{text}");
}
