//! What can't be done is said in one clear sentence, with an exit code that a script can tell
//! apart, and nothing is begun.

use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use rustix::process::Signal;

use crate::folder::{Folder, said};

/// The one sentence; log lines are JSON.
fn sentence(done: &Output) -> String {
    let said = said(done);
    let sentences: Vec<&str> = said.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(sentences.len(), 1, "{said}");
    assert!(done.stdout.is_empty(), "{}", String::from_utf8_lossy(&done.stdout));
    sentences[0].to_owned()
}

fn refused(done: &Output, code: i32, words: &str) {
    let sentence = sentence(done);
    assert!(sentence.starts_with("freehold: ") && sentence.contains(words), "{sentence}");
    assert_eq!(done.status.code(), Some(code), "{sentence}");
}

#[test]
fn a_second_process_on_the_same_folder_is_told_so() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    refused(&folder.run(&["serve"]), 69, "a node is already running in");
    // One that is still starting has no socket, and one that is stuck does not answer there; the
    // lock speaks for them.
    running.signal(Signal::STOP);
    refused(&folder.run(&["serve"]), 69, "in use by another process");
    running.signal(Signal::CONT);
    std::fs::remove_file(folder.data().join("control.sock")).unwrap();
    refused(&folder.run(&["serve"]), 69, "in use by another process");
    running.stop();
}

#[test]
fn a_folder_that_can_not_be_written_is_named() {
    let folder = Folder::new();
    let file = folder.write("occupied", "a file, no folder");
    // The last is there already, and is nobody's to write in.
    for place in [file.join("data"), "/proc/freehold".into(), "/sys".into()] {
        let done = folder.freehold_on(&place).output().unwrap();
        refused(&done, 73, &format!("the data folder {} can't be written", place.display()));
    }
}

#[test]
fn a_taken_port_is_named_and_the_folder_is_free_again() {
    let folder = Folder::of_ruth();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    for name in ["web", "imaps", "libp2p"] {
        let done = folder.run(&["--set", &format!("listen.{name}={port}")]);
        refused(
            &done,
            69,
            &format!("can't listen on {port} for {name}: another program has this port"),
        );
    }
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = udp.local_addr().unwrap().to_string();
    let done = folder.run(&["--set", &format!("listen.libp2p={port}")]);
    refused(
        &done,
        69,
        &format!("can't listen on {port} for libp2p (UDP): another program has this port"),
    );
    folder.serve().stop();
}

#[test]
fn a_broken_line_of_the_configuration_is_named_by_its_number() {
    let folder = Folder::of_ruth();
    let config = folder.data().join("freehold.toml");
    for (text, line, words) in [
        ("[node]\nlog = \"info\"\nengine = 7\n", "line 3", "string"),
        ("[node]\n\nlgo = \"info\"\n", "line 3", "lgo"),
        ("[node\n", "line 1", ""),
        ("[listen]\nweb = \"here\"\n", "line 2", "a good value is \"127.0.0.1:7080\""),
        ("[listen]\nweb = \"here\"\n", "line 2", "listen.web"),
        ("[nde]\nlog = \"info\"\n", "line 1", "there is no section [nde]"),
    ] {
        std::fs::write(&config, text).unwrap();
        let done = folder.run(&[]);
        refused(&done, 78, line);
        refused(&done, 78, words);
        refused(&done, 78, config.to_str().unwrap());
    }
    refused(&folder.run(&["--config", "nowhere.toml"]), 66, "nowhere.toml");
}

#[test]
fn a_wrong_setting_is_named_by_the_word_it_was_given_by() {
    let folder = Folder::new();
    for (set, code, words) in [
        ("nonsense", 64, "section.key=value"),
        ("node.threads=many", 78, "--set node.threads"),
        ("nobody.log=info", 78, "the sections are node, listen, web, mail, federation"),
        ("node.lgo=info", 78, "--set node.lgo"),
        ("node.engine=rocks", 78, "\"sled\" or \"redb\""),
        ("node.log=freehold=loud", 78, "is not a log filter"),
    ] {
        refused(&folder.run(&["--set", set]), code, words);
    }
    for (name, value) in [
        ("FREEHOLD_LISTEN_WEB", "here"),
        ("FREEHOLD_NODE_LGO", "info"),
        ("FREEHOLD_NODE_CACHE_MIB", "-1"),
    ] {
        refused(&folder.freehold().env(name, value).output().unwrap(), 78, name);
    }
    let no_text = std::ffi::OsStr::from_bytes(b"\xff");
    refused(
        &folder.freehold().env("FREEHOLD_WEB_TITLE", no_text).output().unwrap(),
        78,
        "FREEHOLD_WEB_TITLE",
    );
    // Other people's variables may be what they like.
    let done =
        folder.freehold().env("NAME", no_text).env(no_text, "7").arg("status").output().unwrap();
    refused(&done, 69, "no node is running");
    assert!(!folder.data().exists(), "nothing was begun");
}

#[test]
fn a_photo_that_is_no_file_and_a_text_that_is_endless_are_refused_by_a_node_that_goes_on() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let pipe = folder.beside("pipe.jpg");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    for no_file in [&pipe, &folder.data()] {
        refused(
            &folder.run(&["photo", no_file.to_str().unwrap(), "--alt", "a pipe"]),
            66,
            "it is no file",
        );
    }
    let long = folder.write("long.md", vec![b'a'; 3 * 1024 * 1024]);
    refused(&folder.run(&["post", long.to_str().unwrap()]), 65, "this is too long");
    assert_eq!(folder.status()["posts"], 0);
    running.stop();
}

#[test]
fn what_is_handed_in_wrongly_is_told_how_it_would_be_right() {
    let folder = Folder::of_ruth();
    let latin = folder.write("latin.md", b"caf\xe9");
    refused(&folder.run(&["post", latin.to_str().unwrap()]), 65, "latin.md is no UTF-8 text");
    refused(&folder.run(&["app-password", " "]), 65, "has a name");
    refused(
        &folder.run(&["friend", "add", "foo"]),
        65,
        "it looks like http://alice.localhost:7080/i#",
    );
    let draft = folder.write("draft.md", "# Not yet\n\nUnfinished.\n");
    assert!(folder.ask(&["post", "--draft", draft.to_str().unwrap()]).contains("/home/write/"));
    let nobody = Folder::new();
    let done = nobody
        .run_with(&["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-"], "short");
    assert_eq!(done.status.code(), Some(65), "{}", said(&done));
    assert!(!nobody.data().exists(), "a set-up that was refused leaves nothing behind");
}

#[test]
fn words_the_command_line_does_not_know_are_refused_with_help() {
    let folder = Folder::new();
    let done = folder.run(&["sevre"]);
    assert_eq!(done.status.code(), Some(64));
    assert!(said(&done).contains("serve"), "{}", said(&done));
    for help in [&["--help"][..], &["help", "post"], &["identity", "new", "--help"]] {
        assert!(folder.ask(help).contains("Usage: freehold"));
    }
    assert!(folder.ask(&["config"]).contains("[listen]"));
    assert!(!folder.data().exists());
}
