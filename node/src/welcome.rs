//! The page a node prints when it is ready: where to open it, lines to paste, how to stop.

use std::path::{Path, PathBuf};

use freehold_core::profile::{self, Profile};
use freehold_web::WebConfig;

use crate::certificate;
use crate::listen::ListenConfig;

/// How this program was called, for lines that can be pasted.
pub(crate) fn program() -> String {
    // Under cargo the person typed `cargo run`; the built binary's own path works just as well and
    // needs no build.
    let name = std::env::args_os().next().map(|name| name.to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "freehold".to_owned())
}

/// What there is to say of a node that runs.
#[derive(Clone, Debug)]
pub(crate) struct Welcome {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// Where it listens.
    pub(crate) ports: ListenConfig,
    /// How the site is reached.
    pub(crate) web: WebConfig,
}

impl Welcome {
    /// The page while nobody lives there: `setup` is the token of the link for the first visit.
    pub(crate) fn before(&self, setup: &str) -> String {
        let link = format!("{}/setup?token={setup}", self.web.url(None, self.ports.web.port()));
        self.page(
            &format!("Nobody lives here yet. Open this once, to set the house up:\n\n  {link}\n"),
            None,
        )
    }

    /// The page of somebody's house, with lines that hold the owner's own address.
    pub(crate) fn of(&self, owner: &Profile) -> String {
        let mut where_to = format!(
            "The house of {} is open:\n\n  {}\n",
            owner.name,
            self.web.url(Some(owner), self.ports.web.port())
        );
        if self.web.public_url.is_none() && !self.web.tls {
            where_to.push_str(&format!(
                "\n  (where that name leads nowhere: http://127.0.0.1:{})\n",
                self.ports.web.port()
            ));
        }
        self.page(&where_to, Some(&profile::address(owner)))
    }

    fn page(&self, where_to: &str, address: Option<&str>) -> String {
        let (ports, data) = (&self.ports, self.data.to_string_lossy());
        let mut lines = vec![String::new(), where_to.to_owned()];
        if let Some(line) = tunnel(&[ports.web.port()]) {
            lines.push(format!("This looks like a machine you reached by ssh. On your own computer, first run:\n\n  {line}\n"));
        }
        match address {
            Some(address) => {
                lines.push("Mail programs need an app password. These lines make one, send a mail with it, and read it:\n".to_owned());
                lines.push(format!("  PASSWORD=$({} --data {} app-password --bare curl)", quoted(&program()), quoted(&data)));
                let user = format!("{}\"$PASSWORD\"", quoted(&format!("{address}:")));
                let mail = mail_lines(address, &user, ports, &certificate::path(&self.data));
                lines.extend(mail.into_iter().map(|line| format!("  {line}")));
            }
            None => lines.push("Once somebody does, this page comes again, with lines to paste that send a mail and read it.".to_owned()),
        }
        lines.push(format!(
            "\n  SMTP {}  submission {}  SMTPS {}  IMAP {}  IMAPS {}  libp2p {} (TCP and QUIC)",
            ports.smtp.port(),
            ports.submission.port(),
            ports.smtps.port(),
            ports.imap.port(),
            ports.imaps.port(),
            ports.libp2p.port(),
        ));
        lines.push(format!("  Data in {data}"));
        lines.push(
            "\nCtrl-C stops it; nothing is lost. Starting it again goes on from there.\n"
                .to_owned(),
        );
        lines.join("\n")
    }
}

/// Text as one word of a shell's line.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Lines that send a mail to oneself and read the newest there is, ready to paste. `user` is
/// address and password, `:` between, as one word of a shell.
pub(crate) fn mail_lines(
    address: &str,
    user: &str,
    ports: &ListenConfig,
    certificate: &Path,
) -> Vec<String> {
    let certificate = quoted(&certificate.to_string_lossy());
    vec![
        format!(
            "printf 'From: {address}\\nTo: {address}\\nSubject: Hello, house\\n\\nIt works.\\n' | \\"
        ),
        format!(
            "  curl --cacert {certificate} --url smtps://localhost:{} --user {user} --mail-from {address} --mail-rcpt {address} --crlf --upload-file -",
            ports.smtps.port()
        ),
        format!(
            "curl --cacert {certificate} --url 'imaps://localhost:{}/INBOX;MAILINDEX=*' --user {user}",
            ports.imaps.port()
        ),
    ]
}

/// The line that brings the web pages at these ports of a remote machine to one's own computer;
/// none on a machine one sits at.
pub(crate) fn tunnel(web: &[u16]) -> Option<String> {
    let user = ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    tunnel_of(&std::env::var("SSH_CONNECTION").ok()?, user.as_deref().unwrap_or("root"), web)
}

/// `connection` is, as sshd says it: the client's address and port, then the server's.
fn tunnel_of(connection: &str, user: &str, web: &[u16]) -> Option<String> {
    let mut server = connection.split_whitespace().skip(2);
    let (address, port) = (server.next()?, server.next());
    let mut line = "ssh".to_owned();
    for port in web {
        line.push_str(&format!(" -L {port}:127.0.0.1:{port}"));
    }
    if let Some(port) = port.filter(|port| *port != "22") {
        line.push_str(&format!(" -p {port}"));
    }
    Some(format!("{line} {}", quoted(&format!("{user}@{address}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words a shell makes of `line`, with `curl` and `freehold` replaced by a program that
    /// says what it was given.
    fn words(line: &str) -> Vec<String> {
        let script = format!("curl() {{ printf '%s\\n' \"$@\"; }}; {line}");
        let said = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(
            said.status.success() && said.stderr.is_empty(),
            "{line}: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        String::from_utf8(said.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_quoted_is_one_word_to_a_shell() {
        for text in [
            "/home/ruth/data",
            "/home/ruth/my data",
            "it's $HOME `here` \"so\" \\ *",
            "",
            "~",
            "-",
            "a;b&c|d",
        ] {
            assert_eq!(words(&format!("curl {}", quoted(text))), [text], "{text:?}");
        }
        assert_eq!(quoted("/plain/path-1.pem"), "/plain/path-1.pem");
    }

    #[test]
    fn the_lines_hold_whatever_the_folder_is_called() {
        let certificate = Path::new("/home/ruth's folder/tls/cert.pem");
        let lines = mail_lines(
            "ruth@ruth.localhost",
            "ruth@ruth.localhost:word-word",
            &ListenConfig::default(),
            certificate,
        );
        let sent = words(&lines[..2].join("\n"));
        assert_eq!(
            sent[..6],
            [
                "--cacert",
                certificate.to_str().unwrap(),
                "--url",
                "smtps://localhost:7465",
                "--user",
                "ruth@ruth.localhost:word-word"
            ]
        );
        let read = words(&lines[2]);
        assert_eq!(
            read[1..4],
            [certificate.to_str().unwrap(), "--url", "imaps://localhost:7993/INBOX;MAILINDEX=*"]
        );
    }

    #[test]
    fn the_way_in_from_afar_is_the_way_they_came() {
        let line = |connection| tunnel_of(connection, "ruth", &[7080]);
        assert_eq!(
            line("192.0.2.1 50000 198.51.100.7 22").unwrap(),
            "ssh -L 7080:127.0.0.1:7080 ruth@198.51.100.7"
        );
        assert_eq!(
            line("192.0.2.1 50000 2001:db8::7 2222").unwrap(),
            "ssh -L 7080:127.0.0.1:7080 -p 2222 ruth@2001:db8::7"
        );
        assert_eq!(
            tunnel_of("a b c 22", "x", &[1, 2]).unwrap(),
            "ssh -L 1:127.0.0.1:1 -L 2:127.0.0.1:2 x@c"
        );
        assert_eq!((line(""), line("192.0.2.1 50000")), (None, None));
    }

    #[test]
    fn the_page_names_the_owner_once_there_is_one() {
        let welcome = Welcome {
            data: "/a b".into(),
            ports: ListenConfig::default(),
            web: WebConfig::default(),
        };
        let before = welcome.before("TOKEN");
        assert!(
            before.contains("http://localhost:7080/setup?token=TOKEN") && !before.contains("curl"),
            "{before}"
        );
        let (name, login, domain) =
            ("Ruth".to_owned(), "ruth".to_owned(), "ruth.localhost".to_owned());
        let owner = Profile {
            name,
            login,
            domain,
            strapline: String::new(),
            about: String::new(),
            avatar_colour: 0,
        };
        let after = welcome.of(&owner);
        assert!(
            after.contains("http://ruth.localhost:7080") && after.contains("http://127.0.0.1:7080"),
            "{after}"
        );
        assert!(
            after.contains("--mail-rcpt ruth@ruth.localhost")
                && after.contains("--data '/a b' app-password --bare"),
            "{after}"
        );
        // Pasted as they are, with a program in the place of this one that makes a password.
        let pasted: Vec<&str> =
            after.lines().skip_while(|line| !line.contains("PASSWORD=$(")).take(3).collect();
        let pasted = pasted
            .join("\n")
            .replacen(&quoted(&program()), "echo made-it-just-now #", 1)
            .replacen(" --bare curl)", "\n)", 1);
        assert!(
            words(&pasted).contains(&"ruth@ruth.localhost:made-it-just-now".to_owned()),
            "{pasted}"
        );
    }
}
