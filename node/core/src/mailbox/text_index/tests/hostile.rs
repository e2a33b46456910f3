//! Texts that a stranger makes to be costly.

use super::*;

#[tokio::test]
async fn huge_text_of_many_words_takes_few_rows() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    // A million words in 25 MiB.
    let mut words = String::with_capacity(26 << 20);
    for number in 0..1_000_000u32 {
        let mut rest = number.wrapping_mul(2_654_435_761) % 1_000_003;
        for _ in 0..5 {
            words.extend(char::from_digit(rest % 36, 36));
            rest /= 36;
        }
        words += "\r\n";
    }
    words += &"and some more of the same\r\n".repeat(700_000);
    assert!(words.len() >= 25_000_000);
    store(&alice, inbox, &[plain(&words), plain("needle")]).await;
    index_all(&alice).await;
    let rows = rows_of::<PostingRow>(&alice);
    assert!((50..run::ROWS_MAX).contains(&rows), "{rows}");
    let found = text_candidates(&alice, inbox, Searched::Body, &["needle"]).unwrap();
    assert!(found.contains(1) && found.is_certain(2));
    assert_eq!(candidates(&alice, inbox, Searched::Body, "absent"), 1);
}

#[tokio::test]
async fn messages_with_all_grams_fit_into_runs() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    let letters: Vec<char> = ('a'..='z').collect();
    let mut text = String::new();
    for a in &letters {
        for b in &letters {
            letters.iter().for_each(|c| text.extend([a, b, c]));
        }
        text += "\r\n";
    }
    store(&alice, inbox, &vec![plain(&text); 70]).await;
    index_all(&alice).await;
    assert_eq!(rows_of::<RunRow>(&alice), 1);
    assert_eq!(candidates(&alice, inbox, Searched::Body, "abczzq"), 0);
    assert_eq!(candidates(&alice, inbox, Searched::Body, "zzq"), 70);
}

#[tokio::test]
async fn very_long_terms_are_looked_up_in_part() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    let long: String = (0..20_000).map(|n| format!("w{n} ")).collect();
    let long = long.trim_end();
    store(&alice, inbox, &[plain(long), plain("w1w2 w1")]).await;
    index_all(&alice).await;
    assert_eq!(candidates(&alice, inbox, Searched::Body, long), 1);
    let many = vec!["w1"; 5000];
    let found = text_candidates(&alice, inbox, Searched::Whole, &many).unwrap();
    assert!(found.is_certain(1) && found.is_certain(2));
}

#[tokio::test]
async fn messages_of_many_words_are_split_into_runs() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    let text =
        |n: u32| (0..8_000u32).map(|m| format!("{:x} ", (m * 50 + n) ^ 0x5a5a_0000)).collect();
    let texts: Vec<Vec<u8>> =
        (0..40).map(|n| plain(&std::convert::identity::<String>(text(n)))).collect();
    store(&alice, inbox, &texts).await;
    index_all(&alice).await;
    assert!(rows_of::<RunRow>(&alice) > 2);
    assert_eq!(candidates(&alice, inbox, Searched::Body, "5a5a0007"), 1);
    assert_eq!(candidates(&alice, inbox, Searched::Body, "a5a0"), 40);
}
