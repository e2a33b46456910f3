//! Searching the mailbox in the browser.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::mailbox::{self, SpecialUse};
use freehold_core::testing::TestNode;

use crate::browser::{Browser, Seen};
use crate::conversations::check_page;
use crate::mailbox::deliver;

fn subjects(page: &Seen) -> Vec<String> {
    let rows = page.all(".messages a span[dir='auto']");
    rows.iter().filter(|span| span.attr("class") == "key").map(|span| span.text()).collect()
}

#[tokio::test]
async fn search_finds_letters_in_all_folders_or_one() {
    let alice = TestNode::new("alice").await;
    let first = "From: Joost <j@x.example>\r\nSubject: varnish\r\n\r\nTwo litres.\r\n";
    let place = deliver(&alice, first).await;
    alice.clock.advance(1000);
    deliver(&alice, "From: shop@x.example\r\nSubject: order\r\n\r\nThe varnish left.\r\n").await;
    deliver(&alice, "From: z@x.example\r\nSubject: else\r\n\r\nNothing.\r\n").await;
    let mut owner = Browser::owner(&alice).await;
    owner.post(&format!("/home/mail/{place}/move"), &[("to", "archive")]).await;
    let list = owner.get("/home/mail").await;
    assert_eq!(list.one("form[action='/home/mail/search'] [name='q']").value(), "");
    let inbox = list.one("form[action='/home/mail/search'] [name='folder']").value();
    let found = owner.get(&format!("/home/mail/search?q=varnish&folder={inbox}")).await;
    check_page(&found);
    assert_eq!(subjects(&found), ["order", "varnish"]);
    assert!(found.all(".messages time")[1].text().contains(", "), "the folder is named");
    let archive = mailbox::special_folder(&alice, SpecialUse::Archive).unwrap().unwrap().id.0;
    assert!(found.has(&format!(".messages a[href='/home/mail/{archive}/1']")));
    let field = found.one("form[action='/home/mail/search'] [name='q']");
    assert_eq!(field.value(), "varnish");
    let here = owner.get(&format!("/home/mail/search?q=varnish&folder={inbox}&in=here")).await;
    assert_eq!(subjects(&here), ["order"]);
    let from = owner.get("/home/mail/search?q=from%3Ajoost+litres").await;
    assert_eq!(subjects(&from), ["varnish"]);
    let none = owner.get("/home/mail/search?q=absent").await;
    assert!(subjects(&none).is_empty() && none.has("#found") && !none.has("a[rel='next']"));
    let wrong = owner.get("/home/mail/search?q=before%3Asoon+%3Cb%3E").await;
    assert!(wrong.one("#not-understood").text().contains("before:soon"));
    assert!(!wrong.text().contains("<b>\""), "the query is escaped");
    let dated = owner.get("/home/mail/search?q=before%3A2000-01-01").await;
    assert!(subjects(&dated).is_empty() && !dated.has("#not-understood"));
    for (query, status) in [
        ("", 200),
        ("?q=", 200),
        ("?q=%22", 200),
        ("?q=a&from=x", 400),
        ("?q=a&from=9.9-1.1", 200),
        ("?q=a&folder=999", 404),
        ("?q=%00%FF", 200),
    ] {
        let seen = owner.get(&format!("/home/mail/search{query}")).await;
        assert_eq!(seen.status.as_u16(), status, "{query}");
    }
    let mut stranger = Browser::stranger(&alice);
    assert!(stranger.get("/home/mail/search?q=a").await.location().starts_with("/login"));
}

#[tokio::test]
async fn search_goes_further_back_page_by_page() {
    let alice = TestNode::new("alice").await;
    for number in 0..250 {
        let word = if number < 5 { "needle" } else { "hay" };
        deliver(&alice, format!("Subject: {number}\r\n\r\nsome {word}\r\n")).await;
    }
    let mut owner = Browser::owner(&alice).await;
    // 200 bodies are read for one page.
    let page = owner.get("/home/mail/search?q=needle").await;
    assert!(subjects(&page).is_empty());
    let page = owner.get(page.one("a[rel='next']").attr("href")).await;
    assert_eq!(subjects(&page), ["4", "3", "2", "1", "0"]);
    assert!(!page.has("#found[data-more]"));
    assert!(!page.has("a[rel='next']"));
    // Results fill a page.
    let page = owner.get("/home/mail/search?q=hay").await;
    assert_eq!((subjects(&page).len(), subjects(&page)[0].as_str()), (30, "249"));
    assert!(page.has("#found[data-more]"), "it says that there are more");
    let page = owner.get(page.one("a[rel='next']").attr("href")).await;
    assert_eq!(subjects(&page)[0], "219");
}

#[tokio::test]
async fn indexed_letters_are_searched_in_one_page() {
    let alice = TestNode::new("alice").await;
    for number in 0..1_500 {
        let word = if number == 1 { "tomatoes" } else { "hay" };
        deliver(&alice, format!("Subject: {number}\r\n\r\nsome {word}\r\n")).await;
    }
    let mut owner = Browser::owner(&alice).await;
    let page = owner.get("/home/mail/search?q=tomatoes").await;
    assert!(subjects(&page).is_empty() && page.has("a[rel='next']"), "nothing is indexed yet");
    let mut indexer = mailbox::TextIndexer::default();
    while indexer.step(&alice).await.unwrap() {}
    let page = owner.get("/home/mail/search?q=tomatoes").await;
    assert_eq!((subjects(&page), page.has("a[rel='next']")), (vec!["1".to_owned()], false));
    let page = owner.get("/home/mail/search?q=absent").await;
    assert!(subjects(&page).is_empty() && !page.has("a[rel='next']"));
}
