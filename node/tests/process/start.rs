//! The first start, the set-up in a browser, and the next start.

use rustix::process::Signal;

use crate::clients::{Browser, LineClient};
use crate::folder::{Folder, PASSWORD};
use crate::node_process::NodeProcess;

#[test]
fn first_start_prints_a_setup_link_that_works_once() {
    let folder = Folder::new();
    let mut running = folder.serve();
    let link = running.printed_word("/setup?token=");
    let port = running.printed_port("SMTP");
    assert!(
        port > 1024
            && running.printed_port("IMAPS") > 1024
            && running.printed_port("libp2p") > 1024
    );
    let has_mail_commands =
        running.output.iter().any(|line| line.contains("curl") || line.contains("app-password"));
    assert!(!has_mail_commands, "nobody has a password yet: {:#?}", running.output);
    let mut browser = Browser::at(&link);
    let (_, path) = link.split_at(link.find("/setup").unwrap());
    assert_eq!(browser.get(path).status, 200);
    let token = path.split_once('=').unwrap().1;
    let form = [
        ("token", token),
        ("name", "Ruth"),
        ("address", "ruth@ruth.localhost"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    assert_eq!(browser.post("/setup", &form).status, 303);
    assert_eq!(Browser::at(&link).get(path).status, 403, "the link works once");
    running.output.clear();
    running.wait_until_ready();
    let message = running.output.join("\n");
    assert!(
        message.contains("http://ruth.localhost:")
            && message.contains("--mail-rcpt ruth@ruth.localhost"),
        "{message}"
    );
    running.stop();
}

#[test]
fn certificate_covers_names_that_are_added_later() {
    let folder = Folder::new();
    let mut running = folder.serve();
    let certificate = folder.data().join("tls/cert.pem");
    let first = std::fs::read(&certificate).unwrap();
    folder.init();
    running.wait_for_log("the certificate was made anew");
    let second = std::fs::read(&certificate).unwrap();
    assert_ne!(second, first);
    let imaps = running.printed_port("IMAPS");
    assert!(LineClient::tls_to("ruth.localhost", imaps, &certificate).line().starts_with("* OK"));
    running.stop();
    let mut renamed = folder.command();
    renamed.args(["--set", "mail.hostname=mail.ruth.example"]);
    let mut running = NodeProcess::start(&mut renamed);
    running.wait_until_ready();
    assert_ne!(std::fs::read(&certificate).unwrap(), second);
    for name in ["mail.ruth.example", "ruth.localhost", "localhost"] {
        assert!(
            LineClient::tls_to(name, running.printed_port("IMAPS"), &certificate)
                .line()
                .starts_with("* OK"),
            "{name}"
        );
    }
    running.stop();
}

#[test]
fn first_start_makes_the_certificate_once() {
    let folder = Folder::new();
    let mut command = folder.command();
    let mut running =
        NodeProcess::start(command.args(["--set", "mail.hostname=mail.ruth.example"]));
    running.wait_until_ready();
    let log = running.stop().join("\n");
    assert!(log.contains("a self-signed certificate was made"), "{log}");
    assert!(!log.contains("made anew") && !log.contains("WARN"), "{log}");
}

#[test]
fn printed_commands_quote_a_folder_with_spaces() {
    let folder = Folder::with_name("Ruth's data");
    folder.init();
    let running = folder.serve();
    let message = running.output.join("\n");
    let quoted = format!("--data '{}'", folder.data().to_str().unwrap().replace('\'', "'\\''"));
    assert!(message.contains(&quoted) && message.contains("--cacert '"), "{message}");
    // The commands are run unchanged: the password they pass to curl opens the inbox.
    let pasted: Vec<&str> = running
        .output
        .iter()
        .map(String::as_str)
        .skip_while(|line| !line.contains("PASSWORD=$("))
        .take(4)
        .collect();
    let script = format!("curl() {{ printf '%s\\n' \"$@\"; }}\n{}", pasted.join("\n"));
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let arguments = String::from_utf8(output.stdout).unwrap();
    let password = arguments
        .lines()
        .find_map(|word| word.strip_prefix("ruth@ruth.localhost:"))
        .unwrap_or_else(|| panic!("{arguments}{script}"));
    let mut client =
        LineClient::tls(running.printed_port("IMAPS"), &folder.data().join("tls/cert.pem"));
    client.line();
    let login = client.imap(&format!("LOGIN ruth@ruth.localhost {password}"));
    assert!(login.last().unwrap().starts_with("tag7 OK"), "{login:?}");
    running.stop();
}

#[test]
fn second_start_keeps_identity_and_certificate() {
    let folder = Folder::set_up();
    let first = folder.serve();
    assert!(!first.output.iter().any(|line| line.contains("/setup")), "{:#?}", first.output);
    let person = folder.status()["person"].clone();
    let certificate = std::fs::read(folder.data().join("tls/cert.pem")).unwrap();
    first.stop();
    let second = folder.serve();
    let status = folder.status();
    assert_eq!(status["person"], person);
    assert_eq!(status["address"], "ruth@ruth.localhost");
    assert_eq!(std::fs::read(folder.data().join("tls/cert.pem")).unwrap(), certificate);
    second.stop();
}

#[test]
fn site_responds_under_its_three_local_names() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let url = running.printed_word("http://ruth.localhost:");
    let port = url.rsplit(':').next().unwrap();
    for host in ["ruth.localhost", "localhost", "127.0.0.1"] {
        let page = Browser::at(&format!("http://{host}:{port}")).get("/");
        assert_eq!(page.status, 200, "{host}");
        assert!(page.text().contains("Ruth Aldous"), "{host}");
        let mut owner = Browser::at(&format!("http://{host}:{port}"));
        assert_eq!(owner.post("/login", &[("password", PASSWORD)]).status, 303, "{host}");
        assert_eq!(owner.get("/home").status, 200, "{host}");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(Browser::at(&url).get(path).status, 200, "{path}");
    }
    running.stop();
}

#[test]
fn replaced_certificate_is_served_after_sighup() {
    let (folder, other) = (Folder::set_up(), Folder::set_up());
    other.serve().stop();
    let mut running = folder.serve();
    let tls = |folder: &Folder, name: &str| folder.data().join("tls").join(name);
    let imaps = running.printed_port("IMAPS");
    let mut open = LineClient::tls(imaps, &tls(&folder, "cert.pem"));
    assert!(open.line().starts_with("* OK"));
    for name in ["key.pem", "cert.pem"] {
        std::fs::copy(tls(&other, name), tls(&folder, name)).unwrap();
    }
    running.signal(Signal::HUP);
    running.wait_for_log("the certificate was reloaded");
    assert!(LineClient::tls(imaps, &tls(&other, "cert.pem")).line().starts_with("* OK"));
    assert!(open.imap("NOOP").last().unwrap().starts_with("tag7 OK"), "it keeps its session");

    std::fs::write(tls(&folder, "cert.pem"), "not a certificate").unwrap();
    running.signal(Signal::HUP);
    running.wait_for_log("the certificate could not be reloaded");
    assert!(LineClient::tls(imaps, &tls(&other, "cert.pem")).line().starts_with("* OK"));
    running.stop();
}
