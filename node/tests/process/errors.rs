//! Errors on the command line: one line with the cause, an exit code for scripts, and no change.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use rustix::process::Signal;

use crate::folder::{Folder, stderr, stdout};

/// The one error line. Log lines are JSON and left out.
fn error_line(output: &Output) -> String {
    let text = stderr(output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(output.stdout.is_empty(), "{}", stdout(output));
    lines[0].to_owned()
}

/// Checks the exit code, and that the error line names `token`: a path, a port, a setting.
fn assert_error(output: &Output, code: i32, token: &str) {
    let line = error_line(output);
    assert!(line.starts_with("freehold: ") && line.contains(token), "{line}");
    assert_eq!(output.status.code(), Some(code), "{line}");
}

#[test]
fn second_process_on_a_folder_is_refused() {
    let folder = Folder::set_up();
    let data = folder.data().to_str().unwrap().to_owned();
    let running = folder.serve();
    assert_error(&folder.run(&["serve"]), 69, &data);
    // A node that is starting has no socket, and one that hangs does not respond; both hold the
    // lock.
    running.signal(Signal::STOP);
    assert_error(&folder.run(&["serve"]), 69, &data);
    running.signal(Signal::CONT);
    std::fs::remove_file(folder.data().join("control.sock")).unwrap();
    assert_error(&folder.run(&["serve"]), 69, &data);
    running.stop();
}

#[test]
fn unwritable_data_folder_is_named() {
    let folder = Folder::new();
    let file = folder.write("occupied", "a file, no folder");
    // `/sys` exists and can't be written.
    for data in [file.join("data"), "/proc/freehold".into(), "/sys".into()] {
        let output = folder.command_on(&data).output().unwrap();
        assert_error(&output, 73, &format!("the data folder {}", data.display()));
    }
}

#[test]
fn data_folder_that_others_can_write_is_refused() {
    let folder = Folder::set_up();
    let mode = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(folder.data(), mode(0o777)).unwrap();
    assert_error(&folder.run(&["serve"]), 73, "chmod go-w");
    std::fs::set_permissions(folder.data(), mode(0o700)).unwrap();
    folder.serve().stop();
}

#[test]
fn unusable_key_file_is_named() {
    let folder = Folder::set_up();
    let key = folder.data().join("key");
    let path = key.to_str().unwrap();
    let content = std::fs::read(&key).unwrap();
    std::fs::write(&key, "not a key").unwrap();
    assert_error(&folder.run(&[]), 65, path);
    std::fs::remove_file(&key).unwrap();
    assert_error(&folder.run(&[]), 69, path);
    // A link to itself can't be read, not even by root.
    std::os::unix::fs::symlink(&key, &key).unwrap();
    assert_error(&folder.run(&[]), 66, path);
    std::fs::remove_file(&key).unwrap();
    std::fs::write(&key, content).unwrap();
    folder.serve().stop();
}

#[test]
fn unusable_certificate_is_named_at_the_start() {
    let (folder, other) = (Folder::set_up(), Folder::set_up());
    for folder in [&folder, &other] {
        folder.serve().stop();
    }
    let certificate = folder.data().join("tls/cert.pem");
    let path = certificate.to_str().unwrap();
    std::fs::copy(other.data().join("tls/cert.pem"), &certificate).unwrap();
    assert_error(&folder.run(&[]), 65, path);
    std::fs::remove_file(&certificate).unwrap();
    std::os::unix::fs::symlink("/nowhere/fullchain.pem", &certificate).unwrap();
    assert_error(&folder.run(&[]), 66, "/nowhere/fullchain.pem");
}

#[test]
fn taken_port_is_named_and_the_folder_released() {
    let folder = Folder::set_up();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for name in ["web", "imaps", "libp2p"] {
        let output = folder.run(&["--set", &format!("listen.{name}={address}")]);
        assert_error(&output, 69, &format!("{address} for {name}"));
    }
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = udp.local_addr().unwrap().to_string();
    let output = folder.run(&["--set", &format!("listen.libp2p={address}")]);
    assert_error(&output, 69, &format!("{address} for libp2p (UDP)"));
    folder.serve().stop();
}

#[test]
fn config_error_names_file_line_and_setting() {
    let folder = Folder::set_up();
    let config = folder.data().join("freehold.toml");
    for (text, line, token) in [
        ("[node]\nlog = \"info\"\nengine = 7\n", 3, "node.engine"),
        ("[node]\n\nlgo = \"info\"\n", 3, "lgo"),
        ("[node\n", 1, ""),
        ("[listen]\nweb = \"here\"\n", 2, "\"127.0.0.1:7080\""),
        ("[listen]\nweb = \"here\"\n", 2, "listen.web"),
        ("[nde]\nlog = \"info\"\n", 1, "[nde]"),
    ] {
        std::fs::write(&config, text).unwrap();
        let output = folder.run(&[]);
        assert_error(&output, 78, &format!("{}, line {line}: ", config.display()));
        assert_error(&output, 78, token);
    }
    assert_error(&folder.run(&["--config", "nowhere.toml"]), 66, "nowhere.toml");
}

#[test]
fn invalid_override_names_its_flag_or_variable() {
    let folder = Folder::new();
    for (set, code, token) in [
        ("nonsense", 64, "section.key=value"),
        ("node.threads=many", 78, "--set node.threads"),
        ("nobody.log=info", 78, "node, listen, web, mail, federation"),
        ("node.lgo=info", 78, "--set node.lgo"),
        ("node.engine=rocks", 78, "node.engine"),
        ("node.log=freehold=loud", 78, "node.log"),
    ] {
        assert_error(&folder.run(&["--set", set]), code, token);
    }
    for (name, value) in [
        ("FREEHOLD_LISTEN_WEB", "here"),
        ("FREEHOLD_NODE_LGO", "info"),
        ("FREEHOLD_NODE_CACHE_MIB", "-1"),
    ] {
        assert_error(&folder.command().env(name, value).output().unwrap(), 78, name);
    }
    let no_utf8 = std::ffi::OsStr::from_bytes(b"\xff");
    let output = folder.command().env("FREEHOLD_WEB_TITLE", no_utf8).output().unwrap();
    assert_error(&output, 78, "FREEHOLD_WEB_TITLE");
    // Variables of other programs may have any name and value.
    let mut command = folder.command();
    let output = command.env("NAME", no_utf8).env(no_utf8, "7").arg("status").output().unwrap();
    assert_error(&output, 69, folder.data().to_str().unwrap());
    assert!(!folder.data().exists(), "no folder was created");
}

#[test]
fn pipe_as_photo_and_endless_post_are_refused() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let pipe = folder.sibling("pipe.jpg");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    for no_file in [&pipe, &folder.data()] {
        let path = no_file.to_str().unwrap();
        assert_error(&folder.run(&["photo", path, "--alt", "a pipe"]), 66, path);
    }
    let long = folder.write("long.md", vec![b'a'; 3 * 1024 * 1024]);
    assert_error(&folder.run(&["post", long.to_str().unwrap()]), 65, "1048576 bytes");
    assert_eq!(folder.status()["posts"], 0);
    running.stop();
}

#[test]
fn invalid_argument_error_names_a_valid_one() {
    let folder = Folder::set_up();
    let latin = folder.write("latin.md", b"caf\xe9");
    assert_error(&folder.run(&["post", latin.to_str().unwrap()]), 65, "latin.md is not UTF-8");
    assert_error(&folder.run(&["app-password", " "]), 65, "\"phone\"");
    // An error of usage also says where the help is.
    for (option, value, token) in
        [("--scope", "all", "read, send or both"), ("--expires", "0", "1..=36500")]
    {
        let output = folder.run(&["app-password", option, value, "phone"]);
        assert_eq!(output.status.code(), Some(64), "{option} {value}");
        assert!(stderr(&output).contains(token), "{}", stderr(&output));
    }
    let output = folder.run(&["friend", "add", "foo"]);
    assert_error(&output, 65, "http://alice.localhost:7080/i#");
    let nobody = Folder::new();
    let init = ["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-"];
    let output = nobody.run_with_input(&init, "short");
    assert_eq!(output.status.code(), Some(65), "{}", stderr(&output));
    assert!(!nobody.data().exists(), "a failed set-up leaves no folder");
}

#[test]
fn unknown_command_is_refused_with_a_suggestion() {
    let folder = Folder::new();
    let output = folder.run(&["sevre"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("serve"), "{}", stderr(&output));
    for help in [&["--help"][..], &["help", "post"], &["identity", "new", "--help"]] {
        assert!(folder.run_ok(help).contains("Usage: freehold"));
    }
    assert!(folder.run_ok(&["config"]).contains("[listen]"));
    assert!(!folder.data().exists());
}

#[test]
fn help_lists_every_exit_code() {
    let help = Folder::new().run_ok(&["--help"]);
    let listed: Vec<u8> = help
        .lines()
        .skip_while(|line| !line.starts_with("Exit codes:"))
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    assert_eq!(listed, [0, 1, 64, 65, 66, 69, 73, 78], "{help}");
}
