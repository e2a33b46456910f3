use std::io::{Seek, Write};

use super::super::FROM_SENDER;
use super::*;

const FROM: &str = "From a@b Tue May  4 12:00:00 2021\n";

fn reader(content: &[u8], is_mboxrd: bool) -> Option<MboxReader> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file.rewind().unwrap();
    MboxReader::new(file, 1_000_000, is_mboxrd).unwrap()
}

/// The texts of the messages.
fn texts(content: &str) -> Vec<String> {
    read(content.as_bytes(), false)
}

fn read(content: &[u8], is_mboxrd: bool) -> Vec<String> {
    let mut reader = reader(content, is_mboxrd).unwrap();
    let messages = std::iter::from_fn(|| reader.message().unwrap());
    messages.map(|message| String::from_utf8(message.text.unwrap()).unwrap()).collect()
}

#[test]
fn mbox_is_split_at_from_lines_alone() {
    let two = format!("{FROM}Subject: 1\n\nFrom me\n\nFrom you\n\n{FROM}Subject: 2\r\n\r\nx\n");
    let expected = ["Subject: 1\r\n\r\nFrom me\r\n\r\nFrom you\r\n", "Subject: 2\r\n\r\nx\r\n"];
    assert_eq!(texts(&two), expected);
    // Without an empty line between messages, and with empty lines and a mark before the first.
    let joined = format!("\u{feff}\n{FROM}Subject: 1\n\na\n{FROM}Subject: 2\n\n");
    assert_eq!(texts(&format!("\n\n{FROM}A: b\n\n\n")), ["A: b\r\n\r\n"]);
    assert_eq!(texts(&joined.replacen("\u{feff}\n", "\u{feff}", 1)).len(), 2);
    // A quotation of a From_ line is text.
    let quotation = format!("{FROM}Subject: 1\n\n{FROM}is such a line\n");
    assert_eq!(texts(&quotation).len(), 1);
}

#[test]
fn undated_from_lines_split_where_the_first_is_undated() {
    let undated = "From a@b\nSubject: 1\n\nx\nFrom c@d\nA: b\n\nFrom c@d\nSubject: 2\n\ny\n";
    let expected = ["Subject: 1\r\n\r\nx\r\nFrom c@d\r\nA: b\r\n", "Subject: 2\r\n\r\ny\r\n"];
    assert_eq!(texts(undated), expected);
    let dated = format!("{FROM}Subject: 1\n\nx\n\nFrom c@d\nSubject: 2\n\ny\n");
    assert_eq!(texts(&dated).len(), 1);
    let iso = dated.replace("From c@d", "From c@d 2021-05-04T12:00:00Z");
    assert_eq!(texts(&iso).len(), 2);
}

#[test]
fn quoted_from_line_before_the_header_is_dropped() {
    let text = format!("{FROM}>From - Tue May  4 12:00:00 2021\nSubject: 1\n\n>From me\n");
    assert_eq!(texts(&text), ["Subject: 1\r\n\r\n>From me\r\n"]);
}

#[test]
fn file_without_from_line_is_no_mbox() {
    for content in ["", "\n\n", "Subject: a\n\n", "From: a@b\n\n", "From me to you\nHello"] {
        assert!(reader(content.as_bytes(), false).is_none(), "{content:?}");
    }
}

#[test]
fn quoted_from_lines_are_unquoted_in_mboxrd_only() {
    let text = format!("{FROM}A: b\n\n>From me\n>>From you\n> From\n");
    assert_eq!(texts(&text), ["A: b\r\n\r\n>From me\r\n>>From you\r\n> From\r\n"]);
    let unquoted = ["A: b\r\n\r\nFrom me\r\n>From you\r\n> From\r\n"];
    assert_eq!(read(text.as_bytes(), true), unquoted);
    assert_eq!(texts(&text.replace("a@b", FROM_SENDER)), unquoted);
}

#[test]
fn content_length_that_fits_is_the_bodys() {
    let body = format!("\n{FROM}X: y\n\ntext\n");
    let message = format!("{FROM}A: b\nContent-Length: {}\n\n{body}", body.len());
    let expected =
        format!("A: b\r\nContent-Length: {}\r\n\r\n", body.len()) + &body.replace('\n', "\r\n");
    assert_eq!(texts(&format!("{message}\n{FROM}C: d\n\n")), [&expected, "C: d\r\n"]);
    assert_eq!(texts(&message), [expected]);
    let wrong = message.replace(&body.len().to_string(), "7");
    assert_eq!(texts(&wrong).len(), 2);
    let endless = message.replace(&body.len().to_string(), "18446744073709551615");
    assert_eq!(texts(&endless).len(), 2);
}

#[test]
fn long_lines_and_nul_bytes_are_read() {
    let line = "From x\0".repeat(30_000);
    let text = format!("{FROM}A: b\n\n{line}");
    assert_eq!(texts(&text), [format!("A: b\r\n\r\n{line}")]);
}

#[test]
fn line_of_100_mb_is_passed_over() {
    let mut file = tempfile::tempfile().unwrap();
    write!(file, "{FROM}A: b\n\n").unwrap();
    file.set_len(100_000_000).unwrap();
    file.seek(std::io::SeekFrom::End(0)).unwrap();
    write!(file, "\n\n{FROM}C: d\n\n").unwrap();
    file.rewind().unwrap();
    let mut reader = MboxReader::new(file, 1_000_000, false).unwrap().unwrap();
    assert!(reader.message().unwrap().unwrap().text.is_none());
    assert_eq!(reader.message().unwrap().unwrap().text.as_deref(), Some(&b"C: d\r\n"[..]));
}

#[test]
fn too_long_message_is_passed_over() {
    let line = "x".repeat(99) + "\n";
    let long = line.repeat(10_000);
    let content = format!("{FROM}A: b\n\n{long}\n{FROM}C: d\n\n");
    let mut reader = reader(content.as_bytes(), false).unwrap();
    let first = reader.message().unwrap().unwrap();
    assert!(first.text.is_none() && first.offset == 0);
    let second = reader.message().unwrap().unwrap();
    assert_eq!(second.text.as_deref(), Some(&b"C: d\r\n"[..]));
    assert_eq!(
        second.offset as usize,
        content.find("From a@b Tue May  4 12:00:00 2021\nC").unwrap()
    );
    assert!(reader.message().unwrap().is_none());
}

#[test]
fn mbox_cut_anywhere_is_read() {
    let content = format!("{FROM}A: b\nContent-Length: 9\n\n>From x\ny\n\n{FROM}C: d\n\n");
    for len in FROM.len()..content.len() {
        assert!(!read(&content.as_bytes()[..len], true).is_empty(), "{len}");
    }
}
