//! Commands on a folder: through the socket when a node runs there, on the folder itself when none
//! does.

use std::os::unix::fs::PermissionsExt;

use crate::folder::{Folder, said};
use crate::wire::{Browser, Lines, deliver};

const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/photos/boat.jpg");

#[test]
fn a_running_node_takes_posts_drafts_and_photos() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let note = folder.write("note.md", "The swifts are back over the yard.\n");
    let url = folder.ask(&["post", note.to_str().unwrap()]);
    let draft = folder.write("draft.md", "# Not yet\n\nUnfinished.\n");
    assert!(folder.ask(&["post", "--draft", draft.to_str().unwrap()]).contains("draft"));
    assert!(
        folder
            .ask(&["photo", PICTURE, "--alt", "A boat on the mud at low water"])
            .contains("pixels")
    );
    let done = folder.run_with(&["post", "-"], "# By pipe\n\nFrom standard input.\n");
    assert!(done.status.success(), "{}", said(&done));

    let mut visitor = Browser::at(&running.word("http://ruth.localhost:"));
    let front = visitor.get("/").text();
    assert!(
        front.contains("The swifts are back")
            && front.contains("By pipe")
            && !front.contains("Not yet"),
        "{front}"
    );
    let path = url.trim().splitn(4, '/').nth(3).unwrap();
    assert!(visitor.get(&format!("/{path}")).text().contains("The swifts are back"), "{url}");
    let photos = visitor.get("/photos").text();
    assert!(photos.contains("A boat on the mud at low water"), "{photos}");
    assert_eq!(folder.status()["posts"], 2);
    let said = folder.ask(&["status"]);
    assert!(
        said.contains("Ruth Aldous at http://ruth.localhost:") && said.contains("2 posts"),
        "{said}"
    );
    running.stop();
}

#[test]
fn the_status_for_programs_says_where_everything_is_and_no_secret() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let made = folder.ask(&["app-password", "mutt"]);
    let password = made.split_whitespace().next().unwrap();
    let text = folder.ask(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["pid"], running.pid());
    assert_eq!(status["ports"]["imaps"], running.port("IMAPS"));
    assert_eq!(status["certificate"], folder.data().join("tls/cert.pem").to_str().unwrap());
    assert!(status["libp2p"][0].as_str().unwrap().ends_with(&running.port("libp2p").to_string()));
    assert!(!text.contains(password), "{text}");
    running.stop();
    let done = folder.run(&["status"]);
    assert_eq!(done.status.code(), Some(69));
    assert!(said(&done).contains("no node is running in"), "{}", said(&done));
}

#[test]
fn an_app_password_opens_imap_until_it_is_replaced() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let certificate = folder.data().join("tls/cert.pem");
    let made =
        || folder.ask(&["app-password", "phone"]).split_whitespace().next().unwrap().to_owned();
    let login = |password: &str| {
        let mut lines = Lines::tls(running.port("IMAPS"), &certificate);
        lines.line();
        lines.imap(&format!("LOGIN ruth@ruth.localhost {password}")).pop().unwrap()
    };
    let first = made();
    assert!(login(&first).starts_with("tag7 OK"));
    let second = made();
    assert!(login(&second).starts_with("tag7 OK"));
    assert!(login(&first).starts_with("tag7 NO"), "one password per label");
    running.stop();
}

#[test]
fn a_letter_from_outside_is_counted_and_one_for_nobody_is_refused() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let letter = "From: <mo@elsewhere.example>\nTo: <ruth@ruth.localhost>\nSubject: Seeds\n\nThey have come.";
    assert!(
        deliver(running.port("SMTP"), "mo@elsewhere.example", "ruth@ruth.localhost", letter)
            .starts_with("250")
    );
    assert!(
        deliver(running.port("SMTP"), "mo@elsewhere.example", "eve@ruth.localhost", letter)
            .starts_with("550")
    );
    assert!(folder.ask(&["status"]).contains("1 letters in the inbox"));
    running.stop();
}

#[test]
fn the_same_commands_work_on_a_stopped_folder() {
    let folder = Folder::of_ruth();
    let file = folder.write("post.md", "# Written while the house slept\n\nIt counts.\n");
    folder.ask(&["post", file.to_str().unwrap()]);
    assert!(folder.ask(&["friend", "list"]).contains("No friends yet"));
    let checked = folder.ask(&["check"]);
    assert!(checked.contains("Everything is whole."), "{checked}");
    let running = folder.serve();
    assert!(
        Browser::at(&running.word("http://ruth.localhost:"))
            .get("/")
            .text()
            .contains("Written while the house slept")
    );
    running.stop();
}

#[test]
fn what_a_command_can_not_do_it_says() {
    let folder = Folder::new();
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let done = folder.run(arguments);
        assert!(
            done.status.code() == Some(code) && said(&done).contains(words),
            "{arguments:?}: {:?} {}",
            done.status,
            said(&done)
        );
    };
    let file = folder.write("post.md", "Words.");
    let (file, no_picture) = (file.to_str().unwrap(), folder.write("picture.jpg", "no picture"));
    refused(&["check"], 66, "there is no node in");
    let running = folder.serve();
    refused(&["post", file], 69, "nobody lives in");
    running.stop();
    folder.init();
    let running = folder.serve();
    refused(&["post", "nowhere.md"], 66, "nowhere.md");
    refused(&["photo", "nowhere.jpg", "--alt", "x"], 66, "nowhere.jpg");
    refused(&["photo", no_picture.to_str().unwrap(), "--alt", "x"], 65, "picture");
    refused(&["friend", "add", "http://alice.localhost/no-invite"], 65, "");
    running.stop();
}

#[test]
fn the_socket_is_the_owners_alone() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let mode =
        |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder.data().join("control.sock")), mode(folder.data())), (0o600, 0o700));
    assert_eq!(mode(folder.data().join("key")), 0o600);
    running.stop();
}
