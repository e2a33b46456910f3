//! Setting up from the command line, with words made here or a claim made elsewhere.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::folder::{Folder, PASSWORD, said};

#[test]
fn init_shows_the_words_once_and_a_second_one_is_refused() {
    let folder = Folder::new();
    let done = folder.init();
    let shown = String::from_utf8(done.stdout).unwrap();
    assert!(
        shown.contains("24 words") && shown.contains(" 1 ") && shown.contains("24 "),
        "{shown}"
    );
    let again = folder.run_with(
        &["init", "--name", "Eve", "--login", "eve", "--password-file", "-"],
        "an evil password",
    );
    assert_eq!(again.status.code(), Some(65));
    assert!(said(&again).contains("somebody lives in"), "{}", said(&again));
    assert!(again.stdout.is_empty());
}

#[test]
fn words_that_nobody_could_see_claim_nothing() {
    let folder = Folder::new();
    let mut init = folder.freehold();
    init.args(["init", "--name", "Ruth", "--login", "ruth", "--password-file"])
        .arg(folder.write("password", PASSWORD));
    let done = init
        .stdin(Stdio::null())
        .stdout(File::create("/dev/full").unwrap())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        !done.status.success() && said(&done).contains("the words could not be shown"),
        "{}",
        said(&done)
    );
    folder.init();
}

#[test]
fn words_are_seen_before_they_count_and_a_killed_init_loses_none() {
    let folder = Folder::new();
    let mut init = folder.freehold();
    init.args(["init", "--name", "Ruth", "--login", "ruth", "--password-file"])
        .arg(folder.write("password", PASSWORD));
    let mut init =
        init.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(init.stdout.take().unwrap()).lines().map_while(Result::ok);
    let shown = lines.find_map(|line| line.strip_prefix("Person ").map(str::to_owned)).unwrap();
    init.kill().unwrap();
    init.wait().unwrap();
    let again = folder
        .run_with(&["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-"], PASSWORD);
    let (said_again, owner) =
        (String::from_utf8(again.stdout).unwrap(), folder.ask(&["identity", "show"]));
    // Either the words that were seen have claimed the house, or those that are seen now.
    assert_eq!(
        owner.contains(&shown),
        !said_again.contains("24 words"),
        "{shown} {said_again} {owner}"
    );
}

#[test]
fn what_init_refuses_leaves_a_house_that_can_still_be_set_up() {
    let folder = Folder::new();
    for (name, login, password) in
        [("Ruth", "r u", PASSWORD), ("", "ruth", PASSWORD), ("Ruth", "ruth", "short")]
    {
        let done = folder.run_with(
            &["init", "--name", name, "--login", login, "--password-file", "-"],
            password,
        );
        assert_eq!(
            done.status.code(),
            Some(65),
            "{name:?} {login:?} {password:?}: {}",
            said(&done)
        );
    }
    folder.init();
}

#[test]
fn a_claim_made_on_another_computer_makes_the_node_its_owners() {
    let (node, desk) = (Folder::new(), Folder::new());
    node.serve().stop();
    let card = node.ask(&["identity", "card"]);
    let claim = desk.beside("claim.txt");
    let made =
        desk.ask(&["identity", "new", "--node", card.trim(), "--out", claim.to_str().unwrap()]);
    let person = made.lines().find_map(|line| line.strip_prefix("Person ")).unwrap();
    assert!(!desk.data().exists(), "nothing is kept where the words were made");
    let over =
        desk.run(&["identity", "new", "--node", card.trim(), "--out", claim.to_str().unwrap()]);
    assert_eq!(over.status.code(), Some(73), "a claim is never written over");

    let claimed = node.ask(&["identity", "claim", claim.to_str().unwrap()]);
    assert!(claimed.contains(person), "{claimed}");
    let done = node.init();
    assert!(
        !String::from_utf8(done.stdout).unwrap().contains("24 words"),
        "the words are elsewhere"
    );
    let running = node.serve();
    assert_eq!(node.status()["person"], person);
    let again = node.run(&["identity", "claim", claim.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(65), "{}", said(&again));
    running.stop();
    assert!(node.ask(&["check"]).contains("Everything is whole."));
}

#[test]
fn a_claim_for_another_node_is_refused() {
    let (node, other, desk) = (Folder::new(), Folder::new(), Folder::new());
    for folder in [&node, &other] {
        folder.serve().stop();
    }
    let card = other.ask(&["identity", "card"]);
    let claim = desk.beside("claim.txt");
    desk.ask(&["identity", "new", "--node", card.trim(), "--out", claim.to_str().unwrap()]);
    let done = node.run(&["identity", "claim", claim.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(65), "{}", said(&done));
}
