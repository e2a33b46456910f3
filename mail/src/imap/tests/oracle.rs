//! imap-codec as an oracle: it parses our commands the same way, and it can parse our responses.

use imap_codec::decode::{CommandDecodeError, Decoder, GreetingDecodeError, ResponseDecodeError};
use imap_codec::{CommandCodec, GreetingCodec, ResponseCodec};

use super::serialize;
use crate::imap::command::{self, Command};
use crate::imap::enabled::Enabled;

/// Parts of responses that imap-codec does not support, such as ESEARCH and LIST-STATUS.
const UNSUPPORTED_RESPONSES: [&str; 15] = [
    "* VANISHED",
    "BINARY",
    "OLDNAME",
    "* ESEARCH",
    "METADATA ",
    "CHILDINFO",
    "DELETED ",
    "(MODSEQ",
    "* ENABLED\r",
    "APPENDLIMIT ",
    "EMAILID (",
    "MAILBOXID (",
    "THREADID ",
    "PREVIEW ",
    "SAVEDATE ",
];
/// Parts of commands that imap-codec does not support or refuses.
const UNSUPPORTED_COMMANDS: [&str; 22] = [
    "BINARY",
    "QRESYNC",
    "VANISHED",
    "NOTIFY",
    " $ ",
    " $\r",
    ",$",
    "$,",
    "(USE",
    "METADATA",
    "COMPRESS",
    "RETURN",
    "LIST (",
    "YOUNGER",
    "OLDER",
    "MODSEQ",
    "LIST \"\" (",
    "STATUS",
    "EMAILID",
    "THREADID",
    "PREVIEW",
    "SAVED",
];

/// Asserts that imap-codec can parse these responses.
pub(super) fn assert_readable(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let text = String::from_utf8_lossy(rest);
        let line = text.lines().next().unwrap_or_default().to_owned();
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
            // Nor quoted strings in UTF-8.
            Err(_)
                if !line.is_ascii() || UNSUPPORTED_RESPONSES.iter().any(|it| line.contains(it)) =>
            {
                rest = &rest[response_end(rest)..]
            }
            Err(ResponseDecodeError::Incomplete) => panic!("incomplete: {text}"),
            Err(error) => panic!("imap-codec can't read {line:?}: {error:?}"),
        }
    }
}

/// The length of the first response, with its literals.
fn response_end(bytes: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n").map_or(rest.len(), |at| at + 2);
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        at += end;
        let literal = line.strip_suffix("}\r\n").and_then(|line| line.rsplit_once('{'));
        match literal.and_then(|(_, len)| len.parse::<usize>().ok()) {
            Some(len) => at += len,
            None => return at,
        }
    }
}

/// Asserts that both parsers accept a whole command, or both refuse it.
pub(super) fn assert_same_verdict(text: &str) {
    let known =
        UNSUPPORTED_COMMANDS.iter().all(|unknown| !text.to_ascii_uppercase().contains(unknown));
    let upper = text.to_ascii_uppercase();
    if !known
        || upper.contains(" APPEND ")
        || upper.contains(" REPLACE ")
        || upper.starts_with("DONE")
        || (text.contains('"') && !text.is_ascii())
        || !text.contains(' ')
        || upper.ends_with(" \r\n")
    {
        // Our parser accepts a trailing space, imap-codec does not.
        return;
    }
    // imap-codec stops at a literal to have it acknowledged; with `+` it goes on.
    let ours = command::parse(text.trim_end_matches("\r\n").as_bytes(), Enabled::default());
    let mut input = text.as_bytes().to_vec();
    if !input.ends_with(b"\r\n") {
        input.extend_from_slice(b"\r\n");
    }
    let theirs = CommandCodec::default().decode(&input);
    match (&ours, &theirs) {
        (Ok(_), Ok(([], _))) => {}
        // Keys in a charset that we don't know are not parsed.
        (Ok(ours), _) if has_unparsed_keys(&ours.command) => {}
        (_, Err(CommandDecodeError::LiteralFound { .. } | CommandDecodeError::Incomplete)) => {}
        (Err(_), Err(_)) => {}
        _ => panic!("{text:?}\nours: {ours:?}\ntheirs: {theirs:?}"),
    }
}

fn has_unparsed_keys(command: &Command) -> bool {
    let query = match command {
        Command::Search(search) => &search.query,
        Command::Sort(sort) => &sort.query,
        Command::Thread(thread) => &thread.query,
        _ => return false,
    };
    query.is_refused()
}

/// Asserts that a parsed command, serialized again, means the same to imap-codec as the original.
pub(super) fn assert_same_meaning(text: &str) {
    let theirs = |text: &str| match CommandCodec::default().decode(text.as_bytes()) {
        Ok(([], command)) => format!("{command:?}"),
        other => panic!("imap-codec can't read {text:?}: {other:?}"),
    };
    let ours = command::parse(text.trim_end().as_bytes(), Enabled::default())
        .unwrap_or_else(|error| panic!("our parser refuses {text:?}: {error:?}"));
    assert_eq!(theirs(text), theirs(&serialize::command(&ours)), "{text}");
}
