//! Commands on a data folder: through the socket of a running node, or on the folder itself.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::clients::{Browser, LineClient, deliver};
use crate::folder::{Folder, PASSWORD, stderr, stdout};
use crate::node_process::NodeProcess;

const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/photos/boat.jpg");

#[test]
fn start_command_after_init_repeats_the_options() {
    let folder = Folder::new();
    let config = folder.write("my settings.toml", "[mail]\nretry_hours_max = 24\n");
    let options = ["--config", "my settings.toml", "--set", "mail.hostname=mail.ruth.example"];
    let init = ["init", "--name", "Ruth", "--login", "ruth", "--password-file", "-"];
    let output = folder.run_with_input(&[&options[..], &init].concat(), PASSWORD);
    let text = stdout(&output);
    let expected = format!(
        "--data {} --config '{}' --set mail.hostname=mail.ruth.example\n",
        folder.data().display(),
        config.display()
    );
    assert!(text.ends_with(&expected), "{text} {}", stderr(&output));
}

#[test]
fn new_setup_link_ends_the_printed_one() {
    let folder = Folder::new();
    let running = folder.serve();
    let printed = running.printed_word("http://localhost:");
    let output = folder.run_ok(&["setup-link"]);
    let link = output.split_whitespace().next().unwrap();
    let status = |link: &str| {
        let path = link.split_once("/setup").unwrap().1;
        Browser::at(link).get(&format!("/setup{path}")).status
    };
    assert_eq!((status(&printed), status(link)), (403, 200), "{printed} {link}");
    running.stop();
    let claimed = Folder::set_up();
    assert!(!claimed.run(&["setup-link"]).status.success());
}

#[test]
fn running_node_accepts_posts_drafts_and_photos() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let note = folder.write("note.md", "The swifts are back over the yard.\n");
    let url = folder.run_ok(&["post", note.to_str().unwrap()]);
    let draft = folder.write("draft.md", "# Not yet\n\nUnfinished.\n");
    let saved = folder.run_ok(&["post", "--draft", draft.to_str().unwrap()]);
    assert!(saved.contains("/home/write/"), "{saved}");
    folder.run_ok(&["photo", PICTURE, "--alt", "A boat on the mud at low water"]);
    let output = folder.run_with_input(&["post", "-"], "# By pipe\n\nFrom standard input.\n");
    assert!(output.status.success(), "{}", stderr(&output));

    let mut visitor = Browser::at(&running.printed_word("http://ruth.localhost:"));
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
    let status = folder.status();
    assert_eq!((&status["posts"], &status["name"]), (&2.into(), &"Ruth Aldous".into()));
    let text = folder.run_ok(&["status"]);
    assert!(text.contains("Ruth Aldous at http://ruth.localhost:"), "{text}");
    running.stop();
}

#[test]
fn status_json_has_addresses_and_no_password() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let password = folder.app_password("mutt");
    let text = folder.run_ok(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["pid"], running.pid());
    assert_eq!(status["ports"]["imaps"], running.printed_port("IMAPS"));
    assert_eq!(status["certificate"], folder.data().join("tls/cert.pem").to_str().unwrap());
    let libp2p = running.printed_port("libp2p").to_string();
    assert!(status["libp2p"][0].as_str().unwrap().ends_with(&libp2p));
    assert!(!text.contains(&password), "{text}");
    running.stop();
    assert_eq!(folder.run(&["status"]).status.code(), Some(69), "no node is running");
}

#[test]
fn app_password_is_valid_until_replaced() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let certificate = folder.data().join("tls/cert.pem");
    let login = |password: &str| {
        let mut client = LineClient::tls(running.printed_port("IMAPS"), &certificate);
        client.line();
        client.imap(&format!("LOGIN ruth@ruth.localhost {password}")).pop().unwrap()
    };
    let text = folder.run_ok(&["app-password", "phone"]);
    let first = text.split_whitespace().next().unwrap();
    assert!(login(first).starts_with("tag7 OK"));
    let second = folder.app_password("phone");
    assert!(login(&second).starts_with("tag7 OK"));
    assert!(login(first).starts_with("tag7 NO"), "one password per label");
    running.stop();
}

#[test]
fn app_password_has_scope_and_expiry() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let certificate = folder.data().join("tls/cert.pem");
    let login = |scope: &str| {
        let arguments = ["app-password", "--bare", "--expires", "1", "--scope", scope, scope];
        let password = folder.run_ok(&arguments);
        let mut client = LineClient::tls(running.printed_port("IMAPS"), &certificate);
        client.line();
        client.imap(&format!("LOGIN ruth@ruth.localhost {}", password.trim_end())).pop().unwrap()
    };
    for scope in ["read", "both"] {
        assert!(login(scope).starts_with("tag7 OK"), "{scope}");
    }
    assert!(login("send").starts_with("tag7 NO [AUTHORIZATIONFAILED]"));
    running.stop();
}

#[test]
fn message_for_unknown_recipient_is_refused() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let message = "From: <mo@elsewhere.example>\nTo: <ruth@ruth.localhost>\nSubject: Seeds\n\nThey have come.";
    let smtp = running.printed_port("SMTP");
    let reply = deliver(smtp, "mo@elsewhere.example", "ruth@ruth.localhost", message);
    assert!(reply.starts_with("250"), "{reply}");
    let reply = deliver(smtp, "mo@elsewhere.example", "eve@ruth.localhost", message);
    assert!(reply.starts_with("550"), "{reply}");
    let mut client =
        LineClient::tls(running.printed_port("IMAPS"), &folder.data().join("tls/cert.pem"));
    client.line();
    client.imap(&format!("LOGIN ruth@ruth.localhost {}", folder.app_password("mutt")));
    let status = client.imap("STATUS INBOX (MESSAGES)");
    assert!(status[0].contains("(MESSAGES 1)"), "{status:?}");
    running.stop();
}

#[test]
fn commands_work_on_a_stopped_node() {
    let folder = Folder::set_up();
    let file = folder.write("post.md", "# Written while the node was stopped\n\nIt counts.\n");
    folder.run_ok(&["post", file.to_str().unwrap()]);
    folder.run_ok(&["friend", "list"]);
    folder.run_ok(&["check"]);
    let running = folder.serve();
    let front = Browser::at(&running.printed_word("http://ruth.localhost:")).get("/").text();
    assert!(front.contains("Written while the node was stopped"), "{front}");
    running.stop();
}

#[test]
fn failed_command_names_its_cause() {
    let folder = Folder::new();
    let assert_fails = |arguments: &[&str], code: i32, cause: &str| {
        let output = folder.run(arguments);
        assert!(
            output.status.code() == Some(code) && stderr(&output).contains(cause),
            "{arguments:?}: {:?} {}",
            output.status,
            stderr(&output)
        );
    };
    let file = folder.write("post.md", "Words.");
    let (file, no_picture) = (file.to_str().unwrap(), folder.write("picture.jpg", "no picture"));
    assert_fails(&["check"], 66, folder.data().to_str().unwrap());
    let running = folder.serve();
    assert_fails(&["post", file], 69, "freehold init");
    running.stop();
    folder.init();
    let running = folder.serve();
    assert_fails(&["post", "nowhere.md"], 66, "nowhere.md");
    assert_fails(&["photo", "nowhere.jpg", "--alt", "x"], 66, "nowhere.jpg");
    assert_fails(&["photo", no_picture.to_str().unwrap(), "--alt", "x"], 65, "picture");
    assert_fails(&["friend", "add", "http://alice.localhost/no-invite"], 65, "");
    running.stop();
}

#[test]
fn data_folder_is_private_under_any_umask() {
    let folder = Folder::set_up();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(folder.data(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let node = folder.command();
    let mut command = folder.command_of("/bin/sh");
    command.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(node.get_program());
    let mut running = NodeProcess::start(command.args(node.get_args()));
    running.wait_until_ready();
    assert_eq!(mode(&folder.data()), 0o700);
    assert_eq!(mode(&folder.data().join("tls")), 0o700);
    let mut folders = vec![folder.data()];
    while let Some(path) = folders.pop() {
        for entry in std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()) {
            assert_eq!(mode(&entry) & 0o077, 0, "{}", entry.display());
            if entry.is_dir() {
                folders.push(entry);
            }
        }
    }
    running.stop();
}

#[test]
fn control_socket_and_key_are_private() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let mode =
        |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder.data().join("control.sock")), mode(folder.data())), (0o600, 0o700));
    assert_eq!(mode(folder.data().join("key")), 0o600);
    running.stop();
}
