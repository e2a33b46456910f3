//! Fuzz tests over damaged client lines, dates, names and messages.

use freehold_core::testing::fuzz::fuzz;

use super::transcript;
use crate::conversations;
use crate::imap::command::{self, append};
use crate::imap::enabled::Enabled;
use crate::imap::{date, utf7};

#[test]
fn damaged_imap_session_never_panics() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for logged_in in [false, true] {
        fuzz(&format!("imap session {logged_in}"), &conversations::client_lines("imap"), |input| {
            let pieces: Vec<Vec<u8>> = input.chunks(97).map(<[u8]>::to_vec).collect();
            let _closed = runtime.block_on(transcript::feed_all(&pieces, logged_in));
        });
    }
}

#[test]
fn damaged_command_is_parsed_or_refused() {
    let lines: Vec<Vec<u8>> = conversations::client_lines("imap")
        .iter()
        .flat_map(|lines| lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec))
        .collect();
    fuzz("imap command", &lines, |input| {
        let _ = (
            command::parse(input, Enabled::default()).is_ok(),
            append::Head::parse(input, Enabled::default()).is_some(),
        );
        let text = String::from_utf8_lossy(input);
        let _ = (date::day(&text), date::moment(&text), date::Day::of_header(input));
        if let Some(name) = utf7::decode(input) {
            assert_eq!(utf7::decode(utf7::encode(&name).as_bytes()).as_ref(), Some(&name));
        }
    });
}
