use super::super::content::{MessageTexts, WORDS_LEN_MAX};
use super::super::grams::tests::HASH;
use super::encode::UIDS_LEN_MAX;
use super::*;

fn content(texts: impl Iterator<Item = String>) -> Content {
    let mut content = Content::default();
    for (uid, text) in (1..).zip(texts) {
        content.push(uid, MessageTexts::of(format!("\r\n{text}\r\n").as_bytes(), HASH));
    }
    content
}

#[test]
fn run_of_any_one_message_fits() {
    let many: String =
        (0..200_000u32).map(|n| format!("{:x} ", n.wrapping_mul(0x9e37_79b9))).collect();
    let one = content(std::iter::once(many));
    assert_eq!(one.incomplete, [0]);
    let len: usize = one.words.keys().map(|word| word.len() + 1).sum();
    assert!(len > WORDS_LEN_MAX);
    assert!(encode(&one, HASH).is_some_and(|run| run.rows.len() <= ROWS_MAX / 2));
}

#[test]
fn run_of_messages_with_many_words_is_refused() {
    let text = |n: u32| (0..5_000).map(|m| format!("w{} ", m * 1000 + n)).collect::<String>();
    let mut many = content((0..100).map(text));
    assert!(encode(&many, HASH).is_none());
    let rest = many.split_off(10);
    assert!(encode(&many, HASH).is_some() && encode(&rest, HASH).is_none());
}

#[test]
fn rows_of_a_run_are_short() {
    let text = |n: u32| (0..300).map(|m| format!("w{} ", m * (n % 40))).collect::<String>();
    let run = encode(&content((0..1024).map(text)), HASH).unwrap();
    assert!(run.rows.iter().all(|row| row.len() <= ROW_LEN));
    assert_eq!(fitting((1..5000).map(|n| n * 800_000)), UIDS_LEN_MAX / 3);
    assert_eq!(fitting(1..5000), RUN_LEN_MAX);
}
