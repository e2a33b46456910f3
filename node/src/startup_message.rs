//! The text a node prints when it is ready: the address of its site, commands to paste, how to
//! stop it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use freehold_core::profile::{self, Profile};
use freehold_listen::Network;
use freehold_web::WebConfig;

use crate::certificate;
use crate::listen::ListenConfig;
use crate::shell::{mail_commands, program, quote, ssh_tunnel};

/// The values in the text.
#[derive(Clone, Debug)]
pub(crate) struct StartupMessage {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// The addresses listened on.
    pub(crate) ports: ListenConfig,
    /// The site's settings, which decide its address.
    pub(crate) web: WebConfig,
    /// The proxies that send a PROXY header on the mail ports.
    pub(crate) mail_proxies: Vec<Network>,
}

impl StartupMessage {
    /// The text before set-up, with the one-time link; `setup` is its token.
    pub(crate) fn unclaimed(&self, setup: &str) -> String {
        let link = format!("{}/setup?token={setup}", self.web.url(None, self.ports.web.port()));
        let intro = format!(
            "This node is not set up yet. Open this link in a browser; it works once:\n\n  {link}\n"
        );
        self.render(&intro, None)
    }

    /// The text before set-up for the system's log, which others may read: with a command that
    /// makes the link.
    pub(crate) fn unclaimed_in_log(&self) -> String {
        let (program, data) = (quote(&program()), self.data.to_string_lossy().into_owned());
        let intro = format!(
            "This node is not set up yet. This command makes a link to open in a browser:\n\n  \
             {program} --data {} setup-link\n",
            quote(&data)
        );
        self.render(&intro, None)
    }

    /// The text after set-up, with commands that contain the owner's address.
    pub(crate) fn claimed(&self, owner: &Profile) -> String {
        let url = self.web.url(Some(owner), self.ports.web.port());
        let mut intro = format!("The node of {} is running:\n\n  {url}\n", owner.name);
        if self.web.public_url.is_none() && !self.web.tls && !self.web_needs_header() {
            intro.push_str(&format!(
                "\n  (if the browser does not find that name: http://127.0.0.1:{})\n",
                self.ports.web.port()
            ));
        }
        self.render(&intro, Some(&profile::address(owner)))
    }

    fn web_needs_header(&self) -> bool {
        includes_this_machine(&self.web.proxy_protocol_from)
    }

    fn mail_needs_header(&self) -> bool {
        includes_this_machine(&self.mail_proxies)
    }

    fn render(&self, intro: &str, address: Option<&str>) -> String {
        let (ports, data) = (&self.ports, self.data.to_string_lossy());
        let mut lines = vec![String::new(), intro.to_owned()];
        if let Some(command) = ssh_tunnel(&[ports.web.port()]) {
            lines.push(format!(
                "This is an ssh session. On your own computer, first run:\n\n  {command}\n"
            ));
        }
        match address {
            // Without a PROXY header, curl on this machine reaches none of the mail ports.
            Some(_) if self.mail_needs_header() => {}
            Some(address) => {
                lines.push(
                    "Mail programs need an app password. These commands make one, send a message \
                     and read it:\n"
                        .to_owned(),
                );
                lines.push(format!(
                    "  PASSWORD=$({} --data {} app-password --bare curl)",
                    quote(&program()),
                    quote(&data)
                ));
                let user = format!("{}\"$PASSWORD\"", quote(&format!("{address}:")));
                let mail = mail_commands(address, &user, ports, &certificate::path(&self.data));
                lines.extend(mail.into_iter().map(|line| format!("  {line}")));
            }
            None if self.mail_needs_header() => {}
            None => lines.push(
                "After the set-up this text is printed again, with commands that send and read \
                 mail."
                    .to_owned(),
            ),
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
        let sections = [("web", self.web_needs_header()), ("mail", self.mail_needs_header())];
        for (section, _) in sections.iter().filter(|(_, needs_header)| *needs_header) {
            lines.push(format!(
                "\n  {section}.proxy_protocol_from includes this machine: from here, the {section} ports \
                 accept only connections with a PROXY protocol header."
            ));
        }
        lines.push(
            "\nCtrl-C stops it; nothing is lost. The next start continues from there.\n".to_owned(),
        );
        lines.join("\n")
    }
}

/// Whether a program on this machine that connects to `localhost` counts as one of `proxies`.
fn includes_this_machine(proxies: &[Network]) -> bool {
    let local = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    proxies.iter().any(|network| local.iter().any(|address| network.contains(*address)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::tests::curl_arguments;

    #[test]
    fn unclaimed_message_has_the_setup_link_only() {
        let before = message().unclaimed("TOKEN");
        assert!(before.contains("http://localhost:7080/setup?token=TOKEN"), "{before}");
        assert!(!before.contains("curl"), "nobody has a password yet: {before}");
    }

    #[test]
    fn unusable_direct_addresses_are_not_printed() {
        let networks = |all: &[&str]| all.iter().map(|n| n.parse().unwrap()).collect::<Vec<_>>();
        let with = |web: &[&str], mail: &[&str]| {
            let mut message = message();
            message.web.proxy_protocol_from = networks(web);
            message.mail_proxies = networks(mail);
            message.claimed(&owner())
        };
        let elsewhere = with(&["192.0.2.1"], &["192.0.2.0/24"]);
        assert!(elsewhere.contains("curl") && elsewhere.contains("http://127.0.0.1:7080"));
        assert!(!elsewhere.contains("proxy_protocol_from"), "{elsewhere}");
        let web = with(&["127.0.0.0/8"], &[]);
        assert!(!web.contains("http://127.0.0.1:7080") && web.contains("curl"), "{web}");
        assert!(web.contains("web.proxy_protocol_from") && !web.contains("mail.proxy"), "{web}");
        let mail = with(&[], &["::1"]);
        assert!(mail.contains("http://127.0.0.1:7080") && !mail.contains("curl"), "{mail}");
        assert!(mail.contains("mail.proxy_protocol_from") && !mail.contains("web.proxy"), "{mail}");
    }

    fn owner() -> Profile {
        Profile {
            name: "Ruth".to_owned(),
            login: "ruth".to_owned(),
            domain: "ruth.localhost".to_owned(),
            strapline: String::new(),
            about: String::new(),
            avatar_colour: 0,
            time_zone: String::new(),
            language: String::new(),
        }
    }

    #[test]
    fn claimed_message_has_commands_with_the_owners_address() {
        let after = message().claimed(&owner());
        assert!(
            after.contains("http://ruth.localhost:7080") && after.contains("http://127.0.0.1:7080"),
            "{after}"
        );
        assert!(
            after.contains("--mail-rcpt ruth@ruth.localhost")
                && after.contains("--data '/a b' app-password --bare"),
            "{after}"
        );
        // The commands are pasted unchanged; `echo` replaces the program that makes a password.
        let pasted: Vec<&str> =
            after.lines().skip_while(|line| !line.contains("PASSWORD=$(")).take(3).collect();
        let pasted = pasted
            .join("\n")
            .replacen(&quote(&program()), "echo new-password #", 1)
            .replacen(" --bare curl)", "\n)", 1);
        assert!(
            curl_arguments(&pasted).contains(&"ruth@ruth.localhost:new-password".to_owned()),
            "{pasted}"
        );
    }

    fn message() -> StartupMessage {
        StartupMessage {
            data: "/a b".into(),
            ports: ListenConfig::default(),
            web: WebConfig::default(),
            mail_proxies: Vec::new(),
        }
    }
}
