//! Threads in the browser: the list, the page of one, and the choice of single messages.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::mailbox::{self, Delivery, Flags, IdempotencyKey, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;

use crate::browser::{Browser, Seen};
use crate::mailbox::deliver;

/// A message of the thread `subject`, with an HTML text.
fn letter(number: u32, from: &str, subject: &str) -> String {
    format!(
        "From: {from}\r\nTo: alice@alice.example\r\nMessage-ID: <{number}.{subject}@x>\r\n\
         References: <0.{subject}@x>\r\nSubject: Re: {subject}\r\nContent-Type: text/html\r\n\r\n\
         <p>words {number}</p>\r\n"
    )
}

async fn put(node: &Node, special: SpecialUse, text: &str, flags: Flags) -> String {
    let folder = mailbox::special_folder(node, special).unwrap().unwrap().id;
    let delivery = Delivery {
        folder,
        blob: node.blobs.put(text.as_bytes()).unwrap(),
        id: IdempotencyKey::new(node),
        internal_date: node.clock.now(),
        flags,
    };
    let message = mailbox::deliver(node, delivery).await.unwrap();
    format!("{}/{}", folder.0, message.uid)
}

/// No id is used twice, and each label names a field.
pub(crate) fn check_page(page: &Seen) {
    let mut ids: Vec<String> = page.all("[id]").iter().map(|e| e.attr("id").to_owned()).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id is there twice: {ids:?}");
    for label in page.all("label[for]") {
        assert!(page.has(&format!("#{}", label.attr("for"))), "{}", label.attr("for"));
    }
}

#[tokio::test]
async fn thread_is_one_row_with_names_and_count() {
    let alice = TestNode::new("alice").await;
    let first = deliver(&alice, letter(0, "Joost <j@x.example>", "tides")).await;
    deliver(&alice, letter(1, "Per <p@x.example>", "tides")).await;
    let other = deliver(&alice, letter(0, "Amina <a@x.example>", "lunch")).await;
    alice.clock.advance(1000);
    let newest = deliver(&alice, letter(2, "Joost <j@x.example>", "tides")).await;
    let mut owner = Browser::owner(&alice).await;
    let list = owner.get("/home/mail").await;
    check_page(&list);
    assert_eq!(list.all(".messages a.unread").len(), 2);
    let row = list.one(&format!(".messages a[href='/home/mail/{first}']")).text();
    assert!(row.contains("Joost, Per") && row.contains('3') && row.contains("words 2"), "{row}");
    assert!(!list.one(&format!(".messages a[href='/home/mail/{other}']")).text().contains('('));
    assert_eq!(list.all(".messages li").len(), 2);
    // The switch is remembered.
    let inbox = first.split_once('/').unwrap().0.to_owned();
    let set = |by: &'static str| vec![("by", by), ("folder", inbox.as_str())];
    let seen = owner.post("/home/mail/listing", &set("letters")).await;
    let list = owner.get(&seen.location()).await;
    assert_eq!(list.all(".messages li").len(), 4);
    assert!(list.has(&format!(".messages a[href='/home/mail/{newest}']")));
    assert!(!owner.get(&format!("/home/mail/{newest}")).await.has("[data-letter]"));
    assert_eq!(owner.post("/home/mail/listing", &set("colour")).await.status.as_u16(), 400);
    owner.post("/home/mail/listing", &set("threads")).await;
    assert_eq!(owner.get("/home/mail").await.all(".messages li").len(), 2);
}

#[tokio::test]
async fn page_shows_the_thread_with_read_letters_folded() {
    let alice = TestNode::new("alice").await;
    let seen = Flags::of(Flags::SEEN);
    let text = letter(0, "Joost <j@x.example>", "tides");
    let first = put(&alice, SpecialUse::Inbox, &text, seen.clone()).await;
    alice.clock.advance(60_000);
    let text = letter(1, "a@alice.example", "tides");
    let sent = put(&alice, SpecialUse::Sent, &text, seen.clone()).await;
    put(&alice, SpecialUse::Trash, &letter(7, "t@x.example", "tides"), seen.clone()).await;
    put(&alice, SpecialUse::Inbox, &letter(8, "o@x.example", "other"), seen.clone()).await;
    alice.clock.advance(60_000);
    let open = deliver(&alice, letter(2, "Per <p@x.example>", "tides")).await;
    alice.clock.advance(60_000);
    let last = deliver(&alice, letter(3, "Joost <j@x.example>", "tides")).await;
    let mut owner = Browser::owner(&alice).await;
    // The row of the thread leads to the oldest unread letter.
    let list = owner.get("/home/mail").await;
    assert!(list.has(&format!(".messages a.unread[href='/home/mail/{open}']")));
    let page = owner.get(&format!("/home/mail/{open}")).await;
    check_page(&page);
    let folded = page.all("article details[data-letter]");
    let names: Vec<&str> = folded.iter().map(|letter| letter.attr("data-letter")).collect();
    let expected: Vec<String> =
        [&first, &sent, &last].iter().map(|place| place.replace('/', ".")).collect();
    assert_eq!(names, expected);
    let are_open: Vec<bool> = folded.iter().map(|letter| letter.has_attr("open")).collect();
    assert_eq!(are_open, [false, false, true]);
    assert!(folded[1].text().contains("Sent") && !folded[0].text().contains("Inbox"));
    // The texts are in frames; the open letter has its own, too.
    assert_eq!(page.all("article iframe").len(), 4);
    for frame in page.all("article iframe") {
        assert!(owner.get(frame.attr("src")).await.text().contains("words"));
    }
    // All that was shown open is read.
    let list = owner.get("/home/mail").await;
    assert!(!list.has(".messages a.unread"));
    assert!(list.has(&format!(".messages a[href='/home/mail/{last}']")));
}

#[tokio::test]
async fn thread_of_many_letters_has_a_bounded_page() {
    let alice = TestNode::new("alice").await;
    let mut places = Vec::new();
    for number in 0..70 {
        places.push(deliver(&alice, letter(number, "j@x.example", "long")).await);
    }
    let mut owner = Browser::owner(&alice).await;
    let page = owner.get(&format!("/home/mail/{}", places[69])).await;
    assert_eq!(page.all("article details[data-letter]").len(), 50);
    assert_eq!(page.all("article iframe").len(), 11);
    // Letters whose text is not on the page stay unread.
    assert!(
        owner.get("/home/mail").await.one("nav a[href='/home/mail'] .new").text().contains("59")
    );
}

#[tokio::test]
async fn list_is_paged_by_threads() {
    let alice = TestNode::new("alice").await;
    for number in 0..40 {
        deliver(&alice, letter(0, "j@x.example", &format!("subject{number}"))).await;
    }
    for number in 1..20 {
        deliver(&alice, letter(number, "j@x.example", "subject0")).await;
    }
    let mut owner = Browser::owner(&alice).await;
    let first = owner.get("/home/mail").await;
    assert_eq!(first.all(".messages li").len(), 30);
    let second = owner.get(first.one("a[rel='next']").attr("href")).await;
    assert_eq!(second.all(".messages li").len(), 10);
    assert!(!second.text().contains("subject0<") && !second.has("a[rel='next']"));
}

#[tokio::test]
async fn old_unread_letter_of_a_long_thread_is_reached() {
    let alice = TestNode::new("alice").await;
    let first = deliver(&alice, letter(0, "First <f@x.example>", "long")).await;
    for number in 1..12 {
        let text = letter(number, "Joost <j@x.example>", "long");
        put(&alice, SpecialUse::Inbox, &text, Flags::of(Flags::SEEN)).await;
    }
    let mut owner = Browser::owner(&alice).await;
    let list = owner.get("/home/mail").await;
    let row = list.one(&format!(".messages a.unread[href='/home/mail/{first}']"));
    assert!(row.text().contains("First, Joost"), "{}", row.text());
    owner.get(&format!("/home/mail/{first}")).await;
    assert!(!owner.get("/home/mail").await.has(".messages a.unread"));
}

#[tokio::test]
async fn name_that_is_another_address_is_not_believed() {
    let alice = TestNode::new("alice").await;
    let from = "\"boss@friend.example\" <a@evil.example>";
    let place = deliver(&alice, letter(0, from, "money")).await;
    let mut owner = Browser::owner(&alice).await;
    let row = owner.get("/home/mail").await.all(".messages a .key")[0].text();
    assert!(row.contains("a@evil.example") && !row.contains("friend"), "{row}");
    let page = owner.get(&format!("/home/mail/{place}")).await;
    assert_eq!(page.one(".from b").text(), "a@evil.example");
    assert!(page.one(".from").text().contains("boss@friend.example"));
    let reply = format!("a.main[href='/home/mail/write?reply={}']", place.replace('/', "."));
    let reply = page.one(&reply);
    assert!(!reply.text().contains("friend"), "{}", reply.text());
}
