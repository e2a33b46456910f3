//! Set-up from the command line, with a mnemonic made on the node or a claim made elsewhere.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::folder::{Folder, PASSWORD, stderr, stdout};

/// True if the output has a recovery card with the 24 words.
fn prints_mnemonic(output: &str) -> bool {
    output.contains("Freehold recovery card")
}

#[test]
fn second_init_is_refused_and_prints_no_mnemonic() {
    let folder = Folder::new();
    let printed = stdout(&folder.init());
    assert!(prints_mnemonic(&printed), "{printed}");
    let again = folder.run_with_input(
        &["init", "--name", "Eve", "--login", "eve", "--password-file", "-"],
        "an evil password",
    );
    assert_eq!(again.status.code(), Some(65));
    // The cause is the folder's state, and not the values of this command.
    assert!(stderr(&again).contains(folder.data().to_str().unwrap()), "{}", stderr(&again));
    assert!(again.stdout.is_empty(), "{}", stdout(&again));
}

#[test]
fn unprintable_mnemonic_claims_no_identity() {
    let folder = Folder::new();
    let mut init = folder.command();
    init.args(["init", "--name", "Ruth", "--login", "ruth", "--password-file"])
        .arg(folder.write("password", PASSWORD));
    let output = init
        .stdin(Stdio::null())
        .stdout(File::create("/dev/full").unwrap())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    folder.init();
}

#[test]
fn killed_init_never_claims_with_an_unseen_mnemonic() {
    let folder = Folder::new();
    let mut init = folder.command();
    init.args(["init", "--name", "Ruth", "--login", "ruth", "--password-file"])
        .arg(folder.write("password", PASSWORD));
    let mut init =
        init.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(init.stdout.take().unwrap()).lines().map_while(Result::ok);
    let first_person =
        lines.find_map(|line| line.strip_prefix("Person ").map(str::to_owned)).unwrap();
    init.kill().unwrap();
    init.wait().unwrap();
    let again = folder.run_with_input(
        &["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-"],
        PASSWORD,
    );
    let (printed_again, identity) = (stdout(&again), folder.run_ok(&["identity", "show"]));
    // The identity is that of the first mnemonic, or the second init printed another one.
    assert_eq!(
        identity.contains(&first_person),
        !prints_mnemonic(&printed_again),
        "{first_person} {printed_again} {identity}"
    );
}

#[test]
fn refused_init_can_be_repeated() {
    let folder = Folder::new();
    for (name, login, password) in
        [("Ruth", "r u", PASSWORD), ("", "ruth", PASSWORD), ("Ruth", "ruth", "short")]
    {
        let output = folder.run_with_input(
            &["init", "--name", name, "--login", login, "--password-file", "-"],
            password,
        );
        assert_eq!(
            output.status.code(),
            Some(65),
            "{name:?} {login:?} {password:?}: {}",
            stderr(&output)
        );
    }
    folder.init();
}

#[test]
fn claim_made_elsewhere_gives_the_node_its_person() {
    let (node, desk) = (Folder::new(), Folder::new());
    node.serve().stop();
    let card = node.run_ok(&["identity", "card"]);
    let claim = desk.sibling("claim.txt");
    let printed =
        desk.run_ok(&["identity", "new", "--node", card.trim(), "--out", claim.to_str().unwrap()]);
    let person = printed.lines().find_map(|line| line.strip_prefix("Person ")).unwrap();
    assert!(!desk.data().exists(), "no data folder on the computer of the mnemonic");
    let existing =
        desk.run(&["identity", "new", "--node", card.trim(), "--out", claim.to_str().unwrap()]);
    assert_eq!(existing.status.code(), Some(73), "a claim file is never overwritten");

    let claimed = node.run_ok(&["identity", "claim", claim.to_str().unwrap()]);
    assert!(claimed.contains(person), "{claimed}");
    let printed = stdout(&node.init());
    assert!(!prints_mnemonic(&printed), "the node does not know the mnemonic: {printed}");
    let running = node.serve();
    assert_eq!(node.status()["person"], person);
    let again = node.run(&["identity", "claim", claim.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(65), "{}", stderr(&again));
    running.stop();
    node.run_ok(&["check"]);
}

#[test]
fn claim_for_another_node_is_refused() {
    let (node, other, desk) = (Folder::new(), Folder::new(), Folder::new());
    for folder in [&node, &other] {
        folder.serve().stop();
    }
    let card = other.run_ok(&["identity", "card"]);
    let claim = desk.sibling("claim.txt");
    desk.run_ok(&["identity", "new", "--node", card.trim(), "--out", claim.to_str().unwrap()]);
    let output = node.run(&["identity", "claim", claim.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(65), "{}", stderr(&output));
}

/// The card of a new node, and the arguments that make a claim for it.
fn card_of_a_new_node() -> (Folder, String) {
    let node = Folder::new();
    node.serve().stop();
    let card = node.run_ok(&["identity", "card"]).trim().to_owned();
    (node, card)
}

#[test]
fn words_that_cannot_be_printed_leave_no_claim() {
    let ((_node, card), desk) = (card_of_a_new_node(), Folder::new());
    let claim = desk.sibling("claim.txt");
    let new = ["identity", "new", "--node", &card, "--out", claim.to_str().unwrap()];
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut to_full_disk = desk.command();
    to_full_disk.args(new).stdin(Stdio::null()).stdout(full).stderr(Stdio::piped());
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let mut to_closed_pipe = desk.command();
    to_closed_pipe.args(new).stdin(Stdio::null()).stdout(closed).stderr(Stdio::piped());
    for mut command in [to_full_disk, to_closed_pipe] {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(73), "{}", stderr(&output));
        assert!(!claim.exists(), "an identity without words");
    }
}

#[test]
fn claim_is_written_after_the_words_are_typed_back() {
    let ((node, card), desk) = (card_of_a_new_node(), Folder::new());
    let claim = desk.sibling("claim.txt");
    let new = ["identity", "new", "--node", &card, "--out", claim.to_str().unwrap()];
    let others = format!("{}art\n", "abandon ".repeat(23));
    let refused = desk.run_with_input(&new, &others);
    assert_eq!(refused.status.code(), Some(65), "{}", stderr(&refused));
    assert!(!claim.exists() && prints_mnemonic(&stdout(&refused)));
    desk.run_ok(&new);
    let claimed = node.run_ok(&["identity", "claim", claim.to_str().unwrap()]);
    assert!(claimed.contains("freehold init"), "it says what comes next: {claimed}");
}

#[test]
fn retirement_is_explained_in_numbers_before_it_is_signed() {
    let node = Folder::set_up();
    let post = node.write("post.md", "# A place\n\nwhere I write.\n");
    node.run_ok(&["post", post.to_str().unwrap()]);
    let shown = node.run_ok(&["identity", "show"]);
    let key = shown.split_whitespace().find(|word| word.len() == 64).unwrap();
    let request = node.sibling("request.txt");
    let out = ["--out", request.to_str().unwrap()];
    let printed =
        node.run_ok(&[&["identity", "request", "retire-node", &key[..8]][..], &out].concat());
    for part in ["1 post", "Stays:", "Goes:", "the node you are asking", "last node", "Friends:"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}
