use super::*;
use crate::mailbox::{
    Delivery, FlagChange, IdempotencyKey, SpecialUse, TextIndexer, deliver, move_messages,
    special_folder, store_flags,
};
use crate::testing::TestNode;

fn special(alice: &TestNode, special: SpecialUse) -> FolderId {
    special_folder(alice, special).unwrap().unwrap().id
}

async fn add(alice: &TestNode, text: &str) -> u32 {
    let delivery = Delivery {
        folder: special(alice, SpecialUse::Inbox),
        blob: alice.blobs.put(text.as_bytes()).unwrap(),
        id: IdempotencyKey::new(alice),
        internal_date: alice.clock.now(),
        flags: Flags::default(),
    };
    alice.clock.advance(1000);
    deliver(alice, delivery).await.unwrap().uid
}

/// Four messages; the third is moved to Archive.
async fn filled() -> TestNode {
    let alice = TestNode::new("alice").await;
    let file = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\
        text\r\n--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; \
        filename=tides.csv\r\n\r\n1,2\r\n--b--\r\n";
    add(&alice, "From: Joost <joost@a.example>\r\nSubject: Varnish\r\n\r\nTwo litres.\r\n").await;
    add(
        &alice,
        "From: shop@b.example\r\nCc: Ruth <ruth@c.example>\r\n\r\nThe VARNISH is here.\r\n",
    )
    .await;
    add(
        &alice,
        &format!("From: Joost <joost@a.example>\r\nSubject: =?utf-8?q?Gr=C3=BCn?=\r\n{file}"),
    )
    .await;
    add(&alice, "From: x@d.example\r\nSubject: other\r\n\r\nnothing\r\n").await;
    let (inbox, archive) =
        (special(&alice, SpecialUse::Inbox), special(&alice, SpecialUse::Archive));
    move_messages(&alice, inbox, &[3], archive).await.unwrap();
    let flagged = FlagChange::Add(Flags::of(Flags::SEEN | Flags::FLAGGED));
    store_flags(&alice, inbox, &[2], flagged, None).await.unwrap();
    alice
}

/// The folders and UIDs of the results, all pages together.
fn found(node: &Node, text: &str, folder: Option<FolderId>, limits: SearchLimits) -> Vec<String> {
    let day = |day: &str| day.parse().ok().map(Timestamp);
    let query = SearchQuery::parse(text, day);
    let (mut all, mut cursor) = (Vec::new(), None);
    for _ in 0..100 {
        let page = search(node, &query, folder, cursor.as_ref(), limits).unwrap();
        all.extend(
            page.hits.iter().map(|hit| format!("{}.{}", hit.message.folder.0, hit.message.uid)),
        );
        cursor = page.further.map(|further| further.to_string().parse().unwrap());
        if cursor.is_none() {
            return all;
        }
    }
    panic!("a search without an end");
}

#[tokio::test]
async fn terms_find_messages_newest_first() {
    let alice = filled().await;
    let (inbox, archive) =
        (special(&alice, SpecialUse::Inbox), special(&alice, SpecialUse::Archive));
    let third = format!("{}.1", archive.0);
    let [first, second, fourth] = [1, 2, 4].map(|uid| format!("{}.{uid}", inbox.0));
    let middle = alice.clock.now().0 - 3000;
    for (text, results) in [
        ("varnish", vec![&second, &first]),
        ("varnish litres", vec![&first]),
        ("\"two litres\" joost", vec![&first]),
        ("from:JOOST", vec![&third, &first]),
        ("to:ruth", vec![&second]),
        ("subject:GRÜN", vec![&third]),
        ("tides", vec![&third]),
        ("has:file", vec![&third]),
        ("is:flagged", vec![&second]),
        ("is:unread", vec![&fourth, &third, &first]),
        ("is:unread from:shop", vec![]),
        (&format!("before:{middle}"), vec![&first]),
        (&format!("after:{middle}"), vec![&fourth, &third, &second]),
        ("absent", vec![]),
    ] {
        let limits = SearchLimits::of_a_page(10);
        assert_eq!(found(&alice, text, None, limits).iter().collect::<Vec<_>>(), results, "{text}");
        // In small steps the same is found.
        let small = SearchLimits { hits: 1, pages: 1, bodies: 1, ..limits };
        assert_eq!(found(&alice, text, None, small).iter().collect::<Vec<_>>(), results, "{text}");
    }
    let limits = SearchLimits::of_a_page(10);
    assert_eq!(found(&alice, "from:joost", Some(inbox), limits), [first]);
}

/// Lets the background task do all of its work; returns the number of its steps.
async fn index(node: &Node) -> usize {
    let (mut indexer, mut steps) = (TextIndexer::default(), 0);
    while indexer.step(node).await.unwrap() {
        steps += 1;
        assert!(steps < 10_000, "indexing has no end");
    }
    steps
}

#[tokio::test]
async fn indexed_bodies_are_searched_without_being_read() {
    let alice = TestNode::new("alice").await;
    add(&alice, "Subject: 0\r\n\r\nRipe tomatoes and a pear\r\n").await;
    for number in 1..1_500 {
        add(&alice, &format!("Subject: {number}\r\n\r\nsome hay\r\n")).await;
    }
    let page = |text: &str, bodies: usize| {
        let query = SearchQuery::parse(text, |_| None);
        let limits = SearchLimits { bodies, ..SearchLimits::of_a_page(30) };
        search(&alice, &query, None, None, limits).unwrap()
    };
    // Nothing is indexed: bodies are read, page by page.
    let unread = page("tomatoes", 200);
    assert!(unread.hits.is_empty() && unread.further.is_some());
    index(&alice).await;
    for text in ["tomatoes", "TOMATOES pear", "\"ripe tomatoes\"", "omato", "subject:0 pear"] {
        let found = page(text, 5);
        assert_eq!((found.hits.len(), found.further), (1, None), "{text}");
    }
    assert_eq!(page("tomatoes absent", 0).further, None);
    // Messages that came since are read, indexed ones are not.
    for number in 0..3 {
        add(&alice, &format!("Subject: new {number}\r\n\r\nMore tomatoes\r\n")).await;
    }
    let found = page("tomatoes", 4);
    assert_eq!((found.hits.len(), found.further), (4, None));
    index(&alice).await;
    assert_eq!(page("tomatoes", 4).hits.len(), 4);
}

#[tokio::test]
async fn work_of_one_page_is_bounded() {
    let alice = filled().await;
    let query = SearchQuery::parse("absent", |_| None);
    let limits = SearchLimits { bodies: 2, ..SearchLimits::of_a_page(10) };
    let page = search(&alice, &query, None, None, limits).unwrap();
    assert!(page.hits.is_empty() && page.further.is_some());
    let no_pages = SearchLimits { pages: 0, ..limits };
    let page = search(&alice, &query, None, None, no_pages).unwrap();
    assert!(page.further.is_some(), "{page:?}");
    // A message that is longer than the limit is searched by its header.
    let short = SearchLimits { message_len_max: 10, ..limits };
    let page = search(&alice, &query, None, None, short).unwrap();
    assert_eq!((page.hits.len(), page.further), (0, None));
    // A cursor that names no folder, or UIDs that are gone, finds nothing and ends.
    let strange = SearchCursor(vec![(FolderId(999), 5), (FolderId(1), 0)]);
    let page = search(&alice, &query, None, Some(&strange), limits).unwrap();
    assert_eq!((page.hits.len(), page.further), (0, None));
}
