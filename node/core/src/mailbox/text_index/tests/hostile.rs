//! Texts that a stranger makes to be costly.

use super::*;

#[tokio::test]
async fn huge_text_of_many_words_takes_one_small_row() {
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
    let rows = row::scan::<SignatureRow>(&alice.store, &Scan::prefix(&[], 10)).unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|(_, row)| row.signature.len() + row.words.len() <= 4000));
    let found = text_candidates(&alice, inbox, Searched::Body, &["needle"]).unwrap();
    assert!(found.contains(2));
}

#[tokio::test]
async fn messages_with_all_grams_fit_into_runs() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    let letters: Vec<char> = ('a'..='z').chain('0'..='9').collect();
    let mut text = String::new();
    for a in &letters {
        for b in &letters {
            letters.iter().for_each(|c| text.extend([a, b, c]));
        }
        text += "\r\n";
    }
    store(&alice, inbox, &vec![plain(&text); 70]).await;
    index_all(&alice).await;
    assert_eq!((rows_of::<RunRow>(&alice), rows_of::<SignatureRow>(&alice)), (1, 0));
    assert_eq!(candidates(&alice, inbox, Searched::Body, "abc9zq"), 70);
}

#[tokio::test]
async fn very_long_terms_are_looked_up_in_part() {
    let alice = TestNode::new("alice").await;
    let inbox = inbox(&alice);
    let long: String = (0..20_000).map(|n| format!("w{n}")).collect();
    store(&alice, inbox, &[plain(&long), plain("w1w2w3")]).await;
    index_all(&alice).await;
    assert_eq!(candidates(&alice, inbox, Searched::Body, &long), 1);
    let many = vec!["w1w2"; 5000];
    let found = text_candidates(&alice, inbox, Searched::Whole, &many).unwrap();
    assert!(found.contains(1) && found.contains(2));
}
