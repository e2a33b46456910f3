//! The first start, the set-up in a browser, and the start after that.

use rustix::process::Signal;

use crate::folder::{Folder, PASSWORD};
use crate::running::Running;
use crate::wire::{Browser, Lines};

#[test]
fn the_first_start_prints_where_to_open_it_and_a_link_that_works_once() {
    let folder = Folder::new();
    let mut running = folder.serve();
    let link = running.word("/setup?token=");
    let port = running.port("SMTP");
    assert!(port > 1024 && running.port("IMAPS") > 1024 && running.port("libp2p") > 1024);
    let early =
        running.page.iter().any(|line| line.contains("curl") || line.contains("app-password"));
    assert!(!early, "nobody has a password yet: {:#?}", running.page);
    let mut browser = Browser::at(&link);
    let (_, path) = link.split_at(link.find("/setup").unwrap());
    assert!(browser.get(path).text().contains("The key is in the door"));
    let token = path.split_once('=').unwrap().1;
    let answers = [
        ("token", token),
        ("name", "Ruth"),
        ("address", "ruth@ruth.localhost"),
        ("password", PASSWORD),
        ("again", PASSWORD),
    ];
    assert_eq!(browser.post("/setup", &answers).status, 303);
    assert_eq!(Browser::at(&link).get(path).status, 403, "the link works once");
    running.page.clear();
    running.read_page();
    let page = running.page.join("\n");
    assert!(
        page.contains("The house of Ruth is open")
            && page.contains("--mail-rcpt ruth@ruth.localhost"),
        "{page}"
    );
    running.stop();
}

#[test]
fn the_certificate_holds_for_the_name_the_house_is_given_and_for_one_it_gets_later() {
    let folder = Folder::new();
    let mut running = folder.serve();
    let certificate = folder.data().join("tls/cert.pem");
    let first = std::fs::read(&certificate).unwrap();
    folder.init();
    running.wait_for_remark("the certificate was made anew");
    let second = std::fs::read(&certificate).unwrap();
    assert_ne!(second, first);
    let imaps = running.port("IMAPS");
    assert!(Lines::tls_to("ruth.localhost", imaps, &certificate).line().starts_with("* OK"));
    running.stop();
    let mut elsewhere = folder.freehold();
    elsewhere.args(["--set", "mail.hostname=mail.ruth.example"]);
    let mut running = Running::start(&mut elsewhere);
    running.read_page();
    assert_ne!(std::fs::read(&certificate).unwrap(), second);
    for name in ["mail.ruth.example", "ruth.localhost", "localhost"] {
        assert!(
            Lines::tls_to(name, running.port("IMAPS"), &certificate).line().starts_with("* OK"),
            "{name}"
        );
    }
    running.stop();
}

#[test]
fn the_lines_quote_a_folder_with_spaces() {
    let folder = Folder::named("Ruth's data");
    folder.init();
    let running = folder.serve();
    let page = running.page.join("\n");
    let quoted = format!("--data '{}'", folder.data().to_str().unwrap().replace('\'', "'\\''"));
    assert!(page.contains(&quoted) && page.contains("--cacert '"), "{page}");
    // The lines, pasted as they are: what the mail program is given opens the inbox.
    let pasted: Vec<&str> = running
        .page
        .iter()
        .map(String::as_str)
        .skip_while(|line| !line.contains("PASSWORD=$("))
        .take(4)
        .collect();
    let script = format!("curl() {{ printf '%s\\n' \"$@\"; }}\n{}", pasted.join("\n"));
    let ran = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let given = String::from_utf8(ran.stdout).unwrap();
    let password = given
        .lines()
        .find_map(|word| word.strip_prefix("ruth@ruth.localhost:"))
        .unwrap_or_else(|| panic!("{given}{script}"));
    let mut lines = Lines::tls(running.port("IMAPS"), &folder.data().join("tls/cert.pem"));
    lines.line();
    let opened = lines.imap(&format!("LOGIN ruth@ruth.localhost {password}"));
    assert!(opened.last().unwrap().starts_with("tag7 OK"), "{opened:?}");
    running.stop();
}

#[test]
fn the_second_start_goes_on_from_the_first() {
    let folder = Folder::of_ruth();
    let first = folder.serve();
    assert!(!first.page.iter().any(|line| line.contains("/setup")), "{:#?}", first.page);
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
fn the_site_answers_at_its_own_name_at_localhost_and_at_127_0_0_1() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let url = running.word("http://ruth.localhost:");
    let port = url.rsplit(':').next().unwrap();
    for host in ["ruth.localhost", "localhost", "127.0.0.1"] {
        let page = Browser::at(&format!("http://{host}:{port}")).get("/");
        assert_eq!(page.status, 200, "{host}");
        assert!(page.text().contains("Ruth Aldous"), "{host}");
        let mut owner = Browser::at(&format!("http://{host}:{port}"));
        assert_eq!(owner.post("/login", &[("password", PASSWORD)]).status, 303, "{host}");
        assert_eq!(owner.get("/home").status, 200, "{host}");
    }
    for (path, says) in [("/livez", "alive"), ("/readyz", "ready")] {
        let page = Browser::at(&url).get(path);
        assert!(page.status == 200 && page.text().contains(says), "{path}: {}", page.text());
    }
    running.stop();
}

#[test]
fn replaced_certificate_is_served_after_sighup() {
    let (folder, other) = (Folder::of_ruth(), Folder::of_ruth());
    other.serve().stop();
    let mut running = folder.serve();
    let tls = |folder: &Folder, name: &str| folder.data().join("tls").join(name);
    let imaps = running.port("IMAPS");
    let mut open = Lines::tls(imaps, &tls(&folder, "cert.pem"));
    assert!(open.line().starts_with("* OK"));
    for name in ["key.pem", "cert.pem"] {
        std::fs::copy(tls(&other, name), tls(&folder, name)).unwrap();
    }
    running.signal(Signal::HUP);
    running.wait_for_remark("the certificate was reloaded");
    assert!(Lines::tls(imaps, &tls(&other, "cert.pem")).line().starts_with("* OK"));
    assert!(open.imap("NOOP").last().unwrap().starts_with("tag7 OK"), "it keeps its session");

    std::fs::write(tls(&folder, "cert.pem"), "not a certificate").unwrap();
    running.signal(Signal::HUP);
    running.wait_for_remark("the certificate could not be reloaded");
    assert!(Lines::tls(imaps, &tls(&other, "cert.pem")).line().starts_with("* OK"));
    running.stop();
}
