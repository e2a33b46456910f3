//! The address as which the owner writes: the one that was chosen, or that the message came for.

use freehold_core::aliases;
use freehold_core::mailbox::{self, Arrival, IdempotencyKey, Message, SpecialUse, arrive, queue};
use freehold_core::testing::TestNode;

use crate::browser::Browser;
use crate::mailbox::deliver;

const WRITE: &str = "/home/mail/write";

#[allow(clippy::disallowed_methods, reason = "a test may block")]
async fn arriving(node: &TestNode, recipients: &[&str], text: &str) -> String {
    let arrival = Arrival {
        blob: node.blobs.put(text.as_bytes()).unwrap(),
        id: IdempotencyKey::new(node),
        recipients: recipients.iter().map(|to| (*to).to_owned()).collect(),
        sender: "bob@b.example".to_owned(),
        evidence: None,
    };
    let message = arrive(node, arrival, Vec::new()).await.unwrap().message;
    format!("{}.{}", message.folder.0, message.uid)
}

fn special(node: &TestNode, special: SpecialUse) -> mailbox::Folder {
    mailbox::special_folder(node, special).unwrap().unwrap()
}

#[allow(clippy::disallowed_methods, reason = "a test may block")]
fn newest_sent(node: &TestNode) -> (Message, String) {
    let sent = special(node, SpecialUse::Sent);
    let (message, _) = mailbox::summaries(node, sent.id, None, 1).unwrap().remove(0);
    let bytes = mailbox::body(node, &message).unwrap().read_all(1 << 20).unwrap();
    (message, String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn closed_mask_of_a_draft_stays_its_author() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let mask = aliases::mask(&alice, "shop").await.unwrap().local;
    let from = format!("{mask}@alice.example");
    let fields = [("to", "bob@b.example"), ("text", "x"), ("from", &from), ("intent", "draft")];
    let draft = owner.post(WRITE, &fields).await.location();
    aliases::switch(&alice, &mask, false).await.unwrap();
    let form = owner.get(&draft).await;
    assert_eq!(form.one("#from option[selected]").attr("value"), from);
    let place = form.field("draft");
    let send = [("to", "bob@b.example"), ("text", "x"), ("from", &from), ("draft", &place)];
    owner.post(WRITE, &send).await.location();
    assert_eq!(queue::queued(&alice, 1).unwrap()[0].from, from);
    let (_, text) = newest_sent(&alice);
    assert!(text.contains(&from) && !text.contains("alice@"), "{text}");
    assert!(!text.to_lowercase().contains("alice <"), "no name tells who it is: {text}");
}

#[tokio::test]
async fn removed_address_is_never_replaced_silently() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    aliases::add(&alice, "shop", "").await.unwrap();
    let from = "shop@alice.example";
    let fields = [("to", "bob@b.example"), ("text", "x"), ("from", from), ("intent", "draft")];
    let draft = owner.post(WRITE, &fields).await.location();
    let letter = "From: bob@b.example\r\nTo: x@b.example\r\nSubject: s\r\n\r\nHi.\r\n";
    let place = arriving(&alice, &[from], letter).await;
    aliases::remove(&alice, "shop").await.unwrap();
    for page in [draft, format!("{WRITE}?reply={place}"), format!("{WRITE}?forward={place}")] {
        let form = owner.get(&page).await;
        assert_eq!(form.one("#from option[selected]").attr("value"), from, "{page}");
        let send = [("to", "bob@b.example"), ("text", "x"), ("from", from)];
        let refused = owner.post(WRITE, &send).await;
        assert!(refused.fault("from").contains(from));
        assert_eq!(refused.one("#from option[selected]").attr("value"), from);
    }
    assert!(queue::queued(&alice, 1).unwrap().is_empty());
    let chosen = [("to", "bob@b.example"), ("text", "x"), ("from", "alice@alice.example")];
    owner.post(WRITE, &chosen).await.location();
}

#[tokio::test]
async fn answer_is_written_as_the_envelope_recipient() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    for local in ["shop", "mask", "other"] {
        aliases::add(&alice, local, "").await.unwrap();
    }
    let (mask, main) = ("mask@alice.example", "alice@alice.example");
    for (recipients, to, from) in [
        (&["mask@alice.example"][..], "undisclosed-recipients:;", mask),
        (&["MASK+tag@Alice.example"], "list@l.example", mask),
        (&["mask@alice.example"], "shop@alice.example, mask@alice.example", mask),
        (&["other@alice.example", "mask@alice.example"], "mask@alice.example", mask),
        (&["alice@alice.example", "mask@alice.example"], "list@l.example", mask),
        (&["alice@alice.example", "mask@alice.example"], "Alice <alice@alice.example>", main),
        (&["alice@alice.example"], "list@l.example", main),
    ] {
        let letter = format!("From: bob@b.example\r\nTo: {to}\r\nSubject: s\r\n\r\nHi.\r\n");
        let place = arriving(&alice, recipients, &letter).await;
        for query in ["reply={}", "reply={}&all=1", "forward={}"] {
            let page = format!("{WRITE}?{}", query.replace("{}", &place));
            let form = owner.get(&page).await;
            let selected = form.all("#from option[selected]");
            let chosen =
                selected.first().map_or(main.to_owned(), |option| option.attr("value").to_owned());
            assert_eq!(chosen, from, "{recipients:?} {to} {query}");
        }
        let page = owner.get(&format!("/home/mail/{}", place.replace('.', "/"))).await;
        assert_eq!(page.has("#came-for"), from == mask, "{recipients:?} {to}");
    }
    aliases::switch(&alice, "mask", false).await.unwrap();
    // One that came before the envelope was stored, and an answer to an own letter.
    let traced = "Return-Path: <b@b.example>\r\nReceived: from b.example ([192.0.2.7])\r\n\tby \
                  alice.example (Freehold) with ESMTPS id 1\r\n\tfor <mask@alice.example>; x\r\n\
                  From: bob@b.example\r\nTo: list@l.example\r\n\r\nHi.\r\n";
    let own = "From: mask@alice.example\r\nTo: bob@b.example\r\n\r\nHi.\r\n";
    for letter in [traced, own] {
        let place = deliver(&alice, letter).await.replace('/', ".");
        let form = owner.get(&format!("{WRITE}?reply={place}")).await;
        assert_eq!(form.one("#from option[selected]").attr("value"), mask, "{letter}");
    }
}

#[tokio::test]
async fn leave_request_is_no_correspondence() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let mask = aliases::mask(&alice, "list").await.unwrap().local;
    let from = format!("{mask}@alice.example");
    let letter = "From: news@l.example\r\nTo: news@l.example\r\nSubject: s\r\nList-Unsubscribe: \
                  <mailto:boss@evil.example?subject=a%0Db&body=a%0D.%0DMAIL%20FROM%0D%0A.%0D%0A%00>\
                  \r\n\r\nHi.\r\n";
    let place = arriving(&alice, &[&from], letter).await.replace('.', "/");
    owner.post(&format!("/home/mail/{place}/leave"), &[]).await.location();
    let queued = queue::queued(&alice, 1).unwrap().remove(0);
    assert_eq!((queued.from.as_str(), queued.recipients.len()), (from.as_str(), 1));
    let (_, text) = newest_sent(&alice);
    assert!(!text.contains("alice@") && text.contains("Subject: a b\r\n"), "{text}");
    let rest = text.replace("\r\n", "");
    assert!(!rest.contains(['\r', '\n', '\0']), "{text:?}");
    // The recipient, a stranger's choice, is nobody to whom the owner wrote.
    let limits = mailbox::StrangersLimits {
        network: freehold_core::shares::Limit::mib(1),
        total: freehold_core::shares::Limit::mib(1),
    };
    let charged = |sender: &str| {
        let network = "192.0.2.1".parse().unwrap();
        mailbox::allowances(&alice, network, sender, &limits).unwrap().unwrap().len()
    };
    assert_eq!(charged("boss@evil.example"), 2);
    let letter = [("to", "friend@b.example"), ("text", "Hello."), ("from", "alice@alice.example")];
    owner.post(WRITE, &letter).await.location();
    assert_eq!(charged("friend@b.example"), 0);
}
