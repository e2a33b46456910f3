//! What needs the 24 words: asked for on a node, signed on another computer, taken back by the
//! node.

use std::path::Path;

use crate::folder::{Folder, PASSWORD, said};
use crate::wire::Browser;

/// Ruth's node, and her own computer with her words.
struct Ruth {
    node: Folder,
    desk: Folder,
    words: String,
}

impl Ruth {
    /// A node that was claimed with words made on the desk.
    fn new() -> Self {
        let (node, desk) = (Folder::new(), Folder::new());
        let words = claim_with_new_words(&node, &desk);
        node.init();
        Self { node, desk, words }
    }

    /// A request made on the node, as a file on the desk.
    fn asks(&self, name: &str, wanted: &[&str]) -> String {
        let path = self.desk.beside(name).to_str().unwrap().to_owned();
        let said = self.node.ask(&[&["identity", "request", "--out", &path], wanted].concat());
        assert!(said.contains("identity sign"), "{said}");
        path
    }

    /// What the desk makes of a request, with what is typed.
    fn signs(&self, request: &str, typed: &str) -> std::process::Output {
        self.desk
            .run_with(&["identity", "sign", request, "--out", &format!("{request}.signed")], typed)
    }

    fn yes(&self) -> String {
        format!("yes\n{}\n", self.words)
    }
}

fn claim_with_new_words(node: &Folder, desk: &Folder) -> String {
    node.serve().stop();
    let claim = desk.beside("claim.txt");
    let claim = claim.to_str().unwrap();
    let card = node.ask(&["identity", "card"]);
    let made = desk.ask(&[
        "identity",
        "new",
        "--node",
        card.trim(),
        "--out",
        claim,
        "--at",
        "https://ruth.example/.well-known/freehold",
    ]);
    assert!(made.contains("1. https://ruth.example/.well-known/freehold\n  2. ____"), "{made}");
    node.ask(&["identity", "claim", claim]);
    words_of(&made)
}

/// The words of a printed recovery card, in order.
fn words_of(printed: &str) -> String {
    let card: Vec<&str> = printed
        .split("Freehold recovery card")
        .nth(1)
        .unwrap()
        .split("Person")
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let mut words: Vec<(u8, &str)> =
        card.chunks(2).map(|pair| (pair[0].parse().unwrap(), pair[1])).collect();
    words.sort_unstable();
    words.into_iter().map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_domain_is_asked_for_signed_elsewhere_and_uploaded_while_the_node_runs() {
    let ruth = Ruth::new();
    let running = ruth.node.serve();
    let request = ruth.asks("domain", &["domain", "Ruth.Example"]);
    let signed = ruth.signs(&request, &ruth.yes());
    let shown = String::from_utf8_lossy(&signed.stdout).into_owned();
    assert!(
        signed.status.success() && shown.contains("let the domain ruth.example vouch"),
        "{shown}{}",
        said(&signed)
    );
    let file = format!("{request}.signed");
    assert!(
        ruth.node.ask(&["identity", "upload", &file]).contains("let the domain ruth.example vouch")
    );
    assert!(ruth.node.ask(&["identity", "show"]).contains("The domain ruth.example vouches"));
    assert!(ruth.node.ask(&["identity", "upload", &file]).contains("Nothing new"));
    running.stop();
    assert!(!ruth.desk.data().exists(), "nothing is kept where the words are");
    assert!(ruth.node.ask(&["identity", "show"]).contains("ruth.example"), "and it is durable");
}

#[test]
fn what_must_not_be_signed_or_taken_is_said_in_a_sentence_and_changes_nothing() {
    let (ruth, eve) = (Ruth::new(), Ruth::new());
    let before = ruth.node.ask(&["identity", "show"]);
    let request = ruth.asks("one", &["domain", "one.example"]);
    let refused = |done: std::process::Output, words: &str| {
        assert_eq!(done.status.code(), Some(65), "{}", said(&done));
        assert!(said(&done).contains(words), "{}", said(&done));
        assert!(!Path::new(&format!("{request}.signed")).exists());
    };
    refused(ruth.signs(&request, "no\n"), "nothing was signed");
    refused(ruth.signs(&request, "yes\nabandon ability\n"), "2 words");
    refused(ruth.signs(&request, &eve.yes()), "these words are not those of");
    let text = std::fs::read_to_string(&request).unwrap();
    let bad = ruth.desk.write("bad", text.replacen('A', "B", 3));
    refused(ruth.signs(bad.to_str().unwrap(), &ruth.yes()), "the file is damaged");
    refused(
        ruth.node.run(&["identity", "upload", &request]),
        "this is a request, for `freehold identity sign`",
    );

    // Two requests from the same log: the second to come back is out of date.
    let other = ruth.asks("two", &["domain", "two.example"]);
    for asked in [&request, &other] {
        assert!(ruth.signs(asked, &ruth.yes()).status.success());
    }
    assert_eq!(before, ruth.node.ask(&["identity", "show"]));
    ruth.node.ask(&["identity", "upload", &format!("{request}.signed")]);
    let late = ruth.node.run(&["identity", "upload", &format!("{other}.signed")]);
    assert!(
        late.status.code() == Some(65) && said(&late).contains("make the request again"),
        "{}",
        said(&late)
    );
    assert!(ruth.node.ask(&["identity", "show"]).contains("one.example"));
    // And what is Ruth's is not Eve's.
    let elsewhere = eve.node.run(&["identity", "upload", &format!("{request}.signed")]);
    assert!(said(&elsewhere).contains("not the one this node belongs to"), "{}", said(&elsewhere));
}

#[test]
fn a_node_is_added_by_its_log_alone_and_the_old_one_is_retired() {
    let ruth = Ruth::new();
    let note = ruth.node.write("note.md", "Before the move.\n");
    ruth.node.ask(&["post", note.to_str().unwrap()]);
    // The new machine; the old one is not asked, only the log that anybody may have.
    let new = Folder::new();
    new.serve().stop();
    let log = ruth.desk.beside("log.txt");
    ruth.node.ask(&["identity", "log", "--out", log.to_str().unwrap()]);
    let request = ruth.desk.beside("add").to_str().unwrap().to_owned();
    let card = new.ask(&["identity", "card"]);
    ruth.desk.ask(&[
        "identity",
        "request",
        "add-node",
        card.trim(),
        "--log",
        log.to_str().unwrap(),
        "--out",
        &request,
    ]);
    assert!(ruth.signs(&request, &ruth.yes()).status.success());
    let claim = format!("{request}.signed");
    let wrong = ruth.node.run(&["identity", "upload", &claim]);
    assert!(said(&wrong).contains("this is a claim"), "{}", said(&wrong));
    new.ask(&["identity", "claim", &claim]);
    // The old node learns of it from the new one's log.
    let grown = ruth.desk.beside("grown.txt");
    new.ask(&["identity", "log", "--out", grown.to_str().unwrap()]);
    assert!(
        ruth.node.ask(&["identity", "upload", grown.to_str().unwrap()]).contains("let the node")
    );

    let shown = ruth.node.ask(&["identity", "show"]);
    let line = shown.lines().find(|line| line.contains("(this one)")).unwrap();
    let key = &line.trim()[..12];
    let unknown = ruth.node.run(&["identity", "request", "retire-node", "0000000000"]);
    assert!(said(&unknown).contains("`freehold identity show`"), "{}", said(&unknown));
    // The new node holds nothing of the old one yet, and says what that would mean.
    let lossy = new.run(&["identity", "request", "retire-node", key, "--stolen"]);
    assert!(
        said(&lossy).contains("void") && said(&lossy).contains("--accept-loss"),
        "{}",
        said(&lossy)
    );
    let request = ruth.asks("retire", &["retire-node", key, "--stolen"]);
    let signed = ruth.signs(&request, &ruth.yes());
    let shown = String::from_utf8_lossy(&signed.stdout).into_owned();
    assert!(shown.contains("as stolen") && shown.contains("stay"), "{shown}");
    for node in [&new, &ruth.node] {
        node.ask(&["identity", "upload", &format!("{request}.signed")]);
        let shown = node.ask(&["identity", "show"]);
        assert!(
            shown.lines().any(|line| line.contains(key) && line.ends_with("retired")),
            "{shown}"
        );
    }
}

#[test]
fn new_words_are_asked_back_before_they_count() {
    let ruth = Ruth::new();
    let log = ruth.desk.beside("log.txt");
    let log = log.to_str().unwrap();
    ruth.node.ask(&["identity", "log", "--out", log]);
    let signed = ruth.desk.beside("changed.txt");
    let typed = format!("{}\n{}\n", ruth.words, ruth.words);
    let change = ["identity", "change-words", log, "--out", signed.to_str().unwrap()];
    let refused = ruth.desk.run_with(&change, &typed);
    assert!(refused.status.code() == Some(65) && !signed.exists(), "{}", said(&refused));
    assert!(
        said(&refused).contains("the new words are the same as the old ones"),
        "{}",
        said(&refused)
    );
}

#[test]
fn the_words_give_a_copied_folder_that_lost_its_key_another() {
    let node = Folder::new();
    let done = node.init();
    let words = words_of(&String::from_utf8(done.stdout).unwrap());
    let running = node.serve();
    let busy = node.run_with(&["identity", "unlock"], &words);
    assert!(said(&busy).contains("there is a key file at"), "{}", said(&busy));
    running.stop();
    std::fs::remove_file(node.data().join("key")).unwrap();
    let shut = node.run(&["identity", "show"]);
    assert!(said(&shut).contains("there is no key file at"), "{}", said(&shut));

    let others = Ruth::new().words;
    let wrong = node.run_with(&["identity", "unlock"], &others);
    assert!(
        wrong.status.code() == Some(65) && said(&wrong).contains("does not open the vault"),
        "{}",
        said(&wrong)
    );
    let opened = node.run_with(&["identity", "unlock"], &words.replace(' ', "\n"));
    assert!(opened.status.success(), "{}", said(&opened));
    assert!(node.ask(&["check"]).contains("Everything is whole."));
}

#[test]
fn the_printed_link_outlives_a_claim_that_is_refused() {
    let (folder, other, desk) = (Folder::new(), Folder::new(), Folder::new());
    let running = folder.serve();
    let link = running.word("/setup?token=");
    other.serve().stop();
    let claim = desk.beside("claim.txt");
    let claim = claim.to_str().unwrap();
    desk.ask(&[
        "identity",
        "new",
        "--node",
        other.ask(&["identity", "card"]).trim(),
        "--out",
        claim,
    ]);
    let init =
        ["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-", "--claim", claim];
    let refused = folder.run_with(&init, PASSWORD);
    assert_eq!(refused.status.code(), Some(65), "{}", said(&refused));
    assert_eq!(Browser::at(&link).get(link.split_at(link.find("/setup").unwrap()).1).status, 200);
    running.stop();
}

#[test]
fn init_sets_up_the_node_that_runs() {
    let folder = Folder::new();
    let running = folder.serve();
    let refused = folder
        .run_with(&["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-"], "short");
    assert_eq!(refused.status.code(), Some(65), "{}", said(&refused));
    let done = folder
        .run_with(&["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-"], PASSWORD);
    let shown = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success() && shown.contains("open at http://ruth.localhost:"),
        "{shown}{}",
        said(&done)
    );
    assert_eq!(words_of(&shown).split(' ').count(), 24);
    assert_eq!(folder.status()["login"], "ruth");
    running.stop();
}
