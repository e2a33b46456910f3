//! A letter that would go twice, away from its conversation, or although it was thrown away.

use freehold_core::mailbox::{self, FolderId, SpecialUse, queue};
use freehold_core::testing::TestNode;

use crate::browser::Browser;
use crate::mailbox::deliver;

const WRITE: &str = "/home/mail/write";

fn folder(node: &TestNode, special: SpecialUse) -> mailbox::Folder {
    mailbox::special_folder(node, special).unwrap().unwrap()
}

#[tokio::test]
async fn same_letter_from_new_form_is_asked_about() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let letter = |key| {
        [("to", "Bob <bob@b.example>"), ("subject", "Hill"), ("text", "a\r\nb"), ("key", key)]
    };
    let first = owner.get(WRITE).await.field("key");
    owner.post(WRITE, &letter(&first)).await.location();
    // A second press of the button of the same form.
    owner.post(WRITE, &letter(&first)).await.location();
    let second = owner.get(WRITE).await.field("key");
    let asked = owner.post(WRITE, &letter(&second)).await;
    assert!(asked.has("#again-fault") && asked.text().contains("Not sent"));
    assert_eq!(queue::queued(&alice, 9).unwrap().len(), 1);
    let [to, subject, text, key] = letter(&second);
    owner.post(WRITE, &[to, subject, text, key, ("again", "1")]).await.location();
    assert_eq!(queue::queued(&alice, 9).unwrap().len(), 2);
    let other = [to, subject, ("text", "a\nb\nc"), ("key", "k")];
    owner.post(WRITE, &other).await.location();
    alice.clock.advance(60 * 60 * 1000);
    owner.post(WRITE, &letter("later")).await.location();
}

#[tokio::test]
async fn answer_keeps_its_conversation_when_the_original_moves() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let letter = "From: bob@b.example\r\nMessage-ID: <two@b>\r\nReferences: <one@b>\r\n\
                  Subject: s\r\n\r\nHi.\r\n";
    let place = deliver(&alice, letter).await;
    let form = owner.get(&format!("{WRITE}?reply={}", place.replace('/', "."))).await;
    let (reply, references) = (form.field("reply"), form.field("references"));
    assert_eq!(references, "one@b two@b");
    owner.post(&format!("/home/mail/{place}/move"), &[("to", "archive")]).await.location();
    let fields = [
        ("to", "bob@b.example"),
        ("text", "x"),
        ("reply", reply.as_str()),
        ("references", references.as_str()),
        ("intent", "draft"),
    ];
    let draft = owner.post(WRITE, &fields).await.location();
    let form = owner.get(&draft).await;
    assert_eq!(form.field("references"), "one@b two@b");
    let draft = form.field("draft");
    let mut send = fields;
    send[4] = ("draft", &draft);
    owner.post(WRITE, &send).await.location();
    let newest = || {
        let sent = folder(&alice, SpecialUse::Sent);
        mailbox::summaries(&alice, sent.id, None, 1).unwrap().remove(0).1
    };
    assert_eq!(newest().in_reply_to.as_deref(), Some("two@b"));
    assert_eq!(newest().references, ["one@b", "two@b"]);
    // Message-IDs that are none are not written.
    let hostile = [("to", "eve@b.example"), ("text", "x"), ("references", "a@b\r\nBcc:z@z")];
    owner.post(WRITE, &hostile).await.location();
    assert_eq!(newest().in_reply_to, None);
}

#[tokio::test]
async fn scheduled_letter_that_is_thrown_away_is_taken_back() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let later = jiff::Timestamp::from_millisecond(alice.clock.now().0 as i64).unwrap()
        + std::time::Duration::from_secs(3 * 24 * 60 * 60);
    let later = later.strftime("%Y-%m-%dT%H:%M").to_string();
    let sent = folder(&alice, SpecialUse::Sent).id;
    let waiting = |text| [("to", "bob@b.example"), ("text", text), ("later", later.as_str())];
    for (uid, text) in [(1, "one"), (2, "two")] {
        owner.post(WRITE, &waiting(text)).await.location();
        assert_eq!(queue::queued(&alice, 9).unwrap().len(), 1);
        let thrown = match uid {
            1 => owner.post(&format!("/home/mail/{}/1/move", sent.0), &[("to", "trash")]).await,
            _ => {
                let chosen = format!("{}.2", sent.0);
                let folder = sent.0.to_string();
                let fields = [("letter", &*chosen), ("action", "trash"), ("folder", &folder)];
                owner.post("/home/mail/chosen", &fields).await
            }
        };
        assert!(queue::queued(&alice, 9).unwrap().is_empty(), "it does not go");
        assert!(thrown.header("location").contains("done=back-to-bin"));
        if uid == 1 {
            let list = owner.get(thrown.header("location")).await;
            let undo = list.one("#undo").attr("action").to_owned();
            let to = list.one("#undo input[name='to']").value();
            owner.post(&undo, &[("to", &to)]).await.location();
            let drafts = folder(&alice, SpecialUse::Drafts);
            assert_eq!((FolderId(to.parse().unwrap()), drafts.total), (drafts.id, 1));
        }
    }
    assert_eq!(folder(&alice, SpecialUse::Trash).total, 1);
    // One that has set off goes on, and the page says so.
    owner.post(WRITE, &[("to", "bob@b.example"), ("text", "three")]).await.location();
    let thrown = owner.post(&format!("/home/mail/{}/3/move", sent.0), &[("to", "trash")]).await;
    assert!(thrown.header("location").contains("done=goes-on"));
    assert_eq!(queue::queued(&alice, 9).unwrap().len(), 1);
}

#[tokio::test]
async fn word_that_is_no_recipient_offers_people() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    deliver(&alice, "From: Rob Bobson <rob@b.example>\r\nSubject: s\r\n\r\nHi.\r\n").await;
    let fields = [("to", "dora@d.example, bob"), ("text", "x"), ("intent", "draft")];
    let draft = owner.post(WRITE, &fields).await.location();
    let form = owner.get(&draft).await;
    assert_eq!(form.field("to"), "dora@d.example, bob");
    let place = form.field("draft");
    let mut send = [fields[0], fields[1], ("draft", place.as_str()), ("intent", "send")];
    let refused = owner.post(WRITE, &send).await;
    assert!(refused.fault("to").contains("bob"));
    assert!(refused.one("#state").text().starts_with("Not sent"));
    let person = refused.one("#suggested button").value();
    send[3] = ("intent", &person);
    let form = owner.post(WRITE, &send).await.location();
    let to = owner.get(&form).await.field("to");
    assert_eq!(to, "dora@d.example, \"Rob Bobson\" <rob@b.example>");
    assert!(queue::queued(&alice, 9).unwrap().is_empty());
}

#[tokio::test]
async fn letter_without_text_is_sent_when_meant() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let asked = owner.post(WRITE, &[("to", "bob@b.example"), ("subject", "Hill")]).await;
    asked.fault("text");
    // Enter in a field of one line presses the first button.
    let form = owner.get(WRITE).await;
    assert_eq!(form.all("form[data-saved] button[type='submit']")[0].value(), "draft");
}

#[tokio::test]
async fn own_address_cannot_be_kept_out() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for name in ["alice@alice.example", "@alice.example"] {
        let fields = [("name", name), ("listing", "block")];
        owner.post("/home/mail/senders", &fields).await.fault("name");
    }
}

#[tokio::test]
async fn letter_over_the_limit_is_forwarded_by_its_head() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let mut letter = b"From: Bob <bob@b.example>\r\nTo: Alice <alice@alice.example>, \
                       Dora <dora@d.example>\r\nSubject: Hill\r\n\r\n"
        .to_vec();
    letter.resize(letter.len() + (33 << 20), b'a');
    let place = deliver(&alice, letter).await;
    let page = owner.get(&format!("/home/mail/{place}")).await;
    assert!(page.has("#too-long") && page.text().contains("Dora"));
    let place = place.replace('/', ".");
    for query in ["", "&whole=1"] {
        let form = owner.get(&format!("{WRITE}?forward={place}{query}")).await;
        assert!(form.has("#too-large") && !form.has("[name='take']"), "{query}");
    }
    let form = owner.get(&format!("{WRITE}?forward={place}")).await;
    assert!(
        form.one("textarea").text().contains("To: “Dora”")
            || form.one("textarea").text().contains("Dora")
    );
    let form = owner.get(&format!("{WRITE}?reply={place}&all=1")).await;
    assert!(form.field("to").contains("bob@b.example") && form.field("cc").contains("dora@"));
}
