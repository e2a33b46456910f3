//! `freehold export` and `freehold import`, on a running and on a stopped node.

use std::os::unix::fs::symlink;

use crate::folder::{Folder, stderr, stdout};

const MBOX: &str = "From a@b Tue May  4 12:00:00 2021\nSubject: one\nStatus: RO\n\ntext\n\n\
                    From a@b Tue May  4 12:00:01 2021\nSubject: two\n\n>From here\n\n";

#[test]
fn mail_moves_between_running_and_stopped_nodes() {
    let (ruth, other) = (Folder::set_up(), Folder::set_up());
    ruth.write("Lists.mbox", MBOX);
    let running = ruth.serve();
    let text = ruth.run_ok(&["import", "mbox", "Lists.mbox"]);
    assert_eq!(text, "Imported 2 messages; 0 were already there.\n");
    let text = ruth.run_ok(&["export", "maildir", "out/mail"]);
    assert!(text.starts_with("Exported 2 messages of 7 folders"), "{text}");
    running.stop();
    let text = ruth.run_ok(&["import", "mbox", "Lists.mbox"]);
    assert_eq!(text, "Imported 0 messages; 2 were already there.\n");
    ruth.run_ok(&["export", "mbox", "mboxes"]);
    for (format, path, count) in [("maildir", "out/mail", 2), ("mbox", "mboxes", 0)] {
        let path = ruth.sibling(path);
        let text = other.run_ok(&["import", format, path.to_str().unwrap()]);
        assert!(text.starts_with(&format!("Imported {count} messages")), "{text}");
    }
    let copy = other.run(&["export", "mbox", other.sibling("copy").to_str().unwrap()]);
    assert!(copy.status.success(), "{}", stderr(&copy));
    // UIDVALIDITY is the node's.
    let lists = |folder: &Folder, dir| {
        let text = std::fs::read_to_string(folder.sibling(dir).join("Lists")).unwrap();
        text.lines().filter(|line| !line.starts_with("X-IMAPbase:")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(lists(&ruth, "mboxes"), lists(&other, "copy"));
    other.run_ok(&["check"]);
}

#[test]
fn export_into_a_used_folder_is_refused() {
    let folder = Folder::set_up();
    folder.write("file", "");
    let output = folder.run(&["export", "maildir", "."]);
    assert_eq!(output.status.code(), Some(73), "{}", stderr(&output));
    assert!(!folder.sibling("cur").exists());
}

#[test]
fn message_that_is_left_out_is_named() {
    let folder = Folder::set_up();
    let cur = folder.sibling("mail/cur");
    std::fs::create_dir_all(&cur).unwrap();
    std::fs::write(cur.join("1.x"), "Subject: a\n\n").unwrap();
    symlink("/etc/passwd", cur.join("link")).unwrap();
    let output = folder.run(&["import", "maildir", "mail"]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(65), "{text}{}", stderr(&output));
    assert!(text.starts_with("Imported 1 message;") && text.contains("mail/cur/link: "), "{text}");
    let missing = folder.run(&["import", "mbox", "none"]);
    assert_eq!(missing.status.code(), Some(66));
}
