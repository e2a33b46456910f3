//! Changes that need the mnemonic: requested on a node, signed on another computer, uploaded to the
//! node.

use std::path::Path;

use freehold_core::identity::TransferError;

use crate::clients::Browser;
use crate::folder::{Folder, PASSWORD, stderr, stdout};

/// Ruth's node, and her own computer with her mnemonic.
struct Ruth {
    node: Folder,
    desk: Folder,
    mnemonic: String,
}

impl Ruth {
    /// A node that was claimed with a mnemonic made on the desk.
    fn new() -> Self {
        let (node, desk) = (Folder::new(), Folder::new());
        let mnemonic = claim_with_new_mnemonic(&node, &desk);
        node.init();
        Self { node, desk, mnemonic }
    }

    /// Makes a request on the node. Returns the path of its file on the desk.
    fn request(&self, name: &str, change: &[&str]) -> String {
        let path = self.desk.sibling(name).to_str().unwrap().to_owned();
        let text = self.node.run_ok(&[&["identity", "request", "--out", &path], change].concat());
        assert!(text.contains("freehold identity sign"), "{text}");
        path
    }

    /// Signs a request on the desk, with `typed` as standard input.
    fn sign(&self, request: &str, typed: &str) -> std::process::Output {
        self.desk.run_with_input(
            &["identity", "sign", request, "--out", &format!("{request}.signed")],
            typed,
        )
    }

    fn confirmation(&self) -> String {
        format!("yes\n{}\n", self.mnemonic)
    }
}

fn claim_with_new_mnemonic(node: &Folder, desk: &Folder) -> String {
    node.serve().stop();
    let claim = desk.sibling("claim.txt");
    let claim = claim.to_str().unwrap();
    let card = node.run_ok(&["identity", "card"]);
    let printed = desk.run_ok(&[
        "identity",
        "new",
        "--node",
        card.trim(),
        "--out",
        claim,
        "--at",
        "https://ruth.example/.well-known/freehold",
    ]);
    assert!(
        printed.contains("1. https://ruth.example/.well-known/freehold\n  2. ____"),
        "{printed}"
    );
    node.run_ok(&["identity", "claim", claim]);
    mnemonic_of(&printed)
}

/// The mnemonic on a printed recovery card.
fn mnemonic_of(printed: &str) -> String {
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
fn domain_is_set_by_a_request_signed_elsewhere() {
    let ruth = Ruth::new();
    let running = ruth.node.serve();
    let request = ruth.request("domain", &["domain", "Ruth.Example"]);
    let signed = ruth.sign(&request, &ruth.confirmation());
    assert!(
        signed.status.success() && stdout(&signed).contains("ruth.example"),
        "{}{}",
        stdout(&signed),
        stderr(&signed)
    );
    let file = format!("{request}.signed");
    assert!(ruth.node.run_ok(&["identity", "upload", &file]).contains("ruth.example"));
    assert!(ruth.node.run_ok(&["identity", "show"]).contains("ruth.example"));
    let again = ruth.node.run_ok(&["identity", "upload", &file]);
    assert!(!again.contains("ruth.example"), "nothing new: {again}");
    running.stop();
    assert!(!ruth.desk.data().exists(), "no data folder on the computer of the mnemonic");
    assert!(ruth.node.run_ok(&["identity", "show"]).contains("ruth.example"), "durable");
}

#[test]
fn refused_signature_or_upload_changes_nothing() {
    let (ruth, eve) = (Ruth::new(), Ruth::new());
    let before = ruth.node.run_ok(&["identity", "show"]);
    let request = ruth.request("one", &["domain", "one.example"]);
    let assert_refused = |output: std::process::Output| {
        assert_eq!(output.status.code(), Some(65), "{}", stderr(&output));
        assert!(!Path::new(&format!("{request}.signed")).exists());
    };
    assert_refused(ruth.sign(&request, "no\n"));
    assert_refused(ruth.sign(&request, "yes\nabandon ability\n"));
    assert_refused(ruth.sign(&request, &eve.confirmation()));
    let text = std::fs::read_to_string(&request).unwrap();
    let damaged = ruth.desk.write("damaged", text.replacen('A', "B", 3));
    assert_refused(ruth.sign(damaged.to_str().unwrap(), &ruth.confirmation()));
    let unsigned = ruth.node.run(&["identity", "upload", &request]);
    assert!(stderr(&unsigned).contains("`freehold identity sign`"), "{}", stderr(&unsigned));
    assert_refused(unsigned);

    // Two requests from the same log: the second upload is out of date.
    let other = ruth.request("two", &["domain", "two.example"]);
    for path in [&request, &other] {
        assert!(ruth.sign(path, &ruth.confirmation()).status.success());
    }
    assert_eq!(before, ruth.node.run_ok(&["identity", "show"]));
    ruth.node.run_ok(&["identity", "upload", &format!("{request}.signed")]);
    let late = ruth.node.run(&["identity", "upload", &format!("{other}.signed")]);
    assert_eq!(late.status.code(), Some(65), "{}", stderr(&late));
    assert!(ruth.node.run_ok(&["identity", "show"]).contains("one.example"));
    // Another person's node refuses the change.
    let elsewhere = eve.node.run(&["identity", "upload", &format!("{request}.signed")]);
    assert_eq!(elsewhere.status.code(), Some(65), "{}", stderr(&elsewhere));
}

#[test]
fn new_node_is_added_and_old_node_retired() {
    let ruth = Ruth::new();
    let note = ruth.node.write("note.md", "Before the move.\n");
    ruth.node.run_ok(&["post", note.to_str().unwrap()]);
    // The request for the new node needs only the identity log, not the old node.
    let new = Folder::new();
    new.serve().stop();
    let log = ruth.desk.sibling("log.txt");
    ruth.node.run_ok(&["identity", "log", "--out", log.to_str().unwrap()]);
    let request = ruth.desk.sibling("add").to_str().unwrap().to_owned();
    let card = new.run_ok(&["identity", "card"]);
    ruth.desk.run_ok(&[
        "identity",
        "request",
        "add-node",
        card.trim(),
        "--log",
        log.to_str().unwrap(),
        "--out",
        &request,
    ]);
    assert!(ruth.sign(&request, &ruth.confirmation()).status.success());
    let claim = format!("{request}.signed");
    let wrong = ruth.node.run(&["identity", "upload", &claim]);
    assert_eq!(wrong.status.code(), Some(65), "{}", stderr(&wrong));
    new.run_ok(&["identity", "claim", &claim]);
    // The old node reads the change from the new node's log.
    let grown = ruth.desk.sibling("grown.txt");
    new.run_ok(&["identity", "log", "--out", grown.to_str().unwrap()]);
    ruth.node.run_ok(&["identity", "upload", grown.to_str().unwrap()]);

    let shown = ruth.node.run_ok(&["identity", "show"]);
    let line = shown.lines().find(|line| line.contains("(this one)")).unwrap();
    let key = &line.trim()[..12];
    let unknown = ruth.node.run(&["identity", "request", "retire-node", "0000000000"]);
    assert!(stderr(&unknown).contains("`freehold identity show`"), "{}", stderr(&unknown));
    // The new node holds no entries of the old one yet: retiring the old one would lose them.
    let lossy = new.run(&["identity", "request", "retire-node", key, "--stolen"]);
    assert!(
        lossy.status.code() == Some(65) && stderr(&lossy).contains("--accept-loss"),
        "{}",
        stderr(&lossy)
    );
    let request = ruth.request("retire", &["retire-node", key, "--stolen"]);
    let signed = ruth.sign(&request, &ruth.confirmation());
    assert!(stdout(&signed).contains("stolen"), "{}", stdout(&signed));
    for node in [&new, &ruth.node] {
        node.run_ok(&["identity", "upload", &format!("{request}.signed")]);
        let shown = node.run_ok(&["identity", "show"]);
        assert!(
            shown.lines().any(|line| line.contains(key) && line.ends_with("retired")),
            "{shown}"
        );
    }
}

#[test]
fn change_words_needs_the_new_mnemonic_typed() {
    let ruth = Ruth::new();
    let log = ruth.desk.sibling("log.txt");
    let log = log.to_str().unwrap();
    ruth.node.run_ok(&["identity", "log", "--out", log]);
    let signed = ruth.desk.sibling("changed.txt");
    let change = ["identity", "change-words", log, "--out", signed.to_str().unwrap()];
    let refusal = |confirmation: &str| {
        let typed = format!("{}\n{confirmation}\n", ruth.mnemonic);
        let refused = ruth.desk.run_with_input(&change, &typed);
        assert!(refused.status.code() == Some(65) && !signed.exists(), "{}", stderr(&refused));
        stderr(&refused)
    };
    let same = refusal(&ruth.mnemonic);
    assert!(same.contains(&TransferError::SameMnemonic.to_string()), "{same}");
    // A third mnemonic is valid, but it is neither the old nor the new one.
    let other = refusal(&Ruth::new().mnemonic);
    assert!(!other.contains(&TransferError::SameMnemonic.to_string()), "{other}");
}

#[test]
fn mnemonic_unlocks_a_copied_folder_without_key_file() {
    let node = Folder::new();
    let mnemonic = mnemonic_of(&stdout(&node.init()));
    let running = node.serve();
    let key = node.data().join("key");
    let key_exists = node.run_with_input(&["identity", "unlock"], &mnemonic);
    assert!(
        key_exists.status.code() == Some(65) && stderr(&key_exists).contains(key.to_str().unwrap()),
        "{}",
        stderr(&key_exists)
    );
    running.stop();
    std::fs::remove_file(&key).unwrap();
    let locked = node.run(&["identity", "show"]);
    assert!(
        locked.status.code() == Some(69) && stderr(&locked).contains(key.to_str().unwrap()),
        "{}",
        stderr(&locked)
    );

    let other = Ruth::new().mnemonic;
    let wrong = node.run_with_input(&["identity", "unlock"], &other);
    assert_eq!(wrong.status.code(), Some(65), "{}", stderr(&wrong));
    let unlocked = node.run_with_input(&["identity", "unlock"], &mnemonic.replace(' ', "\n"));
    assert!(unlocked.status.success(), "{}", stderr(&unlocked));
    node.run_ok(&["check"]);
}

#[test]
fn setup_link_stays_valid_after_a_refused_claim() {
    let (folder, other, desk) = (Folder::new(), Folder::new(), Folder::new());
    let running = folder.serve();
    let link = running.printed_word("/setup?token=");
    other.serve().stop();
    let claim = desk.sibling("claim.txt");
    let claim = claim.to_str().unwrap();
    desk.run_ok(&[
        "identity",
        "new",
        "--node",
        other.run_ok(&["identity", "card"]).trim(),
        "--out",
        claim,
    ]);
    let init =
        ["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-", "--claim", claim];
    let refused = folder.run_with_input(&init, PASSWORD);
    assert_eq!(refused.status.code(), Some(65), "{}", stderr(&refused));
    assert_eq!(Browser::at(&link).get(link.split_at(link.find("/setup").unwrap()).1).status, 200);
    running.stop();
}

#[test]
fn init_sets_up_a_running_node() {
    let folder = Folder::new();
    let running = folder.serve();
    let refused = folder.run_with_input(
        &["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-"],
        "short",
    );
    assert_eq!(refused.status.code(), Some(65), "{}", stderr(&refused));
    let output = folder.run_with_input(
        &["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-"],
        PASSWORD,
    );
    let printed = stdout(&output);
    assert!(
        output.status.success() && printed.contains("http://ruth.localhost:"),
        "{printed}{}",
        stderr(&output)
    );
    assert_eq!(mnemonic_of(&printed).split(' ').count(), 24);
    assert_eq!(folder.status()["login"], "ruth");
    running.stop();
}

#[test]
fn one_mistyped_word_is_asked_for_again() {
    let ruth = Ruth::new();
    let request = ruth.request("domain.txt", &["domain", "ruth.example"]);
    let mut words: Vec<&str> = ruth.mnemonic.split_whitespace().collect();
    let right = std::mem::replace(&mut words[3], "abocve");
    let typed = format!("yes\n{}\n{right}\n", words.join(" "));
    let signed = ruth.sign(&request, &typed);
    assert!(signed.status.success(), "{}", stderr(&signed));
    assert!(stdout(&signed).contains("Word 4"), "{}", stdout(&signed));
}
