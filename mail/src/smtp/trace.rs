//! The trace fields that a server adds: Return-Path and Received (RFC 5321 4.4).

use std::net::IpAddr;

use freehold_core::clock::Timestamp;
use jiff::tz::TimeZone;

use super::address::{Mailbox, is_domain};
use super::envelope::Envelope;
use crate::stream::TlsSummary;

/// The client of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address.
    pub address: IpAddr,
    /// The TLS session, if there is one.
    pub tls: Option<TlsSummary>,
}

/// `Return-Path`, added by the final delivery; the null sender is `<>`.
pub fn return_path(sender: Option<&Mailbox>) -> String {
    sender.map_or_else(
        || "Return-Path: <>\r\n".to_owned(),
        |mailbox| format!("Return-Path: <{mailbox}>\r\n"),
    )
}

/// `Received` for a message from another server.
pub fn received(
    envelope: &Envelope,
    peer: &Peer,
    hostname: &str,
    id: &str,
    now: Timestamp,
) -> String {
    let literal = address_literal(peer.address);
    // The name is unverified: it is written only if it is a valid one.
    let claimed =
        Some(envelope.hello.name.as_str()).filter(|name| is_domain(name) && name.is_ascii());
    let from = format!("from {} ({literal})\r\n\t", claimed.unwrap_or(&literal));
    line(&from, envelope, peer.tls.as_ref(), hostname, id, now)
}

/// `Received` for a submission. It has no client address: recipients must not learn where the owner
/// was.
pub fn submitted(
    envelope: &Envelope,
    peer: &Peer,
    hostname: &str,
    id: &str,
    now: Timestamp,
) -> String {
    line("", envelope, peer.tls.as_ref(), hostname, id, now)
}

fn line(
    from: &str,
    envelope: &Envelope,
    tls: Option<&TlsSummary>,
    hostname: &str,
    id: &str,
    now: Timestamp,
) -> String {
    let tls_comment =
        tls.map(|tls| format!("\r\n\t({} {})", tls.version, tls.cipher)).unwrap_or_default();
    // With several recipients the clause would reveal them to each other (RFC 5321 7.2).
    let for_clause = match envelope.recipients.as_slice() {
        [one] => {
            one.mailbox.as_ref().map(|mailbox| format!("\r\n\tfor <{mailbox}>")).unwrap_or_default()
        }
        _ => String::new(),
    };
    let with = protocol(envelope, tls.is_some());
    format!(
        "Received: {from}by {hostname} (Freehold) with {with} id \
         {id}{tls_comment}{for_clause};\r\n\t{}\r\n",
        date(now)
    )
}

/// The protocol name for the `with` clause (RFC 3848, RFC 6531 4.3).
fn protocol(envelope: &Envelope, tls: bool) -> String {
    let base = match (envelope.hello.extended, envelope.sender.international) {
        (false, _) => return "SMTP".to_owned(),
        (true, true) => "UTF8SMTP",
        (true, false) => "ESMTP",
    };
    let secure = if tls { "S" } else { "" };
    let authenticated = if envelope.login.is_some() { "A" } else { "" };
    format!("{base}{secure}{authenticated}")
}

/// RFC 5321 4.1.3.
fn address_literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    }
}

/// A date in mail format (RFC 5322 3.3).
pub fn date(now: Timestamp) -> String {
    let millis = i64::try_from(now.0).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_millisecond(millis)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(TimeZone::UTC);
    jiff::fmt::rfc2822::to_string(&moment).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::envelope::{Hello, Recipient, Sender};
    use super::*;

    const NOON: Timestamp = Timestamp(1_777_636_800_000);

    fn envelope(hello: &str, to: &[&str]) -> Envelope {
        let recipient =
            |text: &&str| Recipient { mailbox: Mailbox::parse(text), notify: None, original: None };
        Envelope {
            hello: Hello { name: hello.into(), extended: true },
            login: None,
            sender: Sender::default(),
            recipients: to.iter().map(recipient).collect(),
        }
    }

    fn peer(tls: bool) -> Peer {
        let tls = tls.then(|| TlsSummary {
            version: "TLSv1.3".into(),
            cipher: "TLS13_AES_256_GCM_SHA384".into(),
        });
        Peer { address: "::ffff:192.0.2.7".parse().unwrap(), tls }
    }

    #[test]
    fn received_field_has_client_protocol_and_date() {
        let line = received(
            &envelope("mail.bob.test", &["alice@alice.test"]),
            &peer(true),
            "alice.test",
            "abc",
            NOON,
        );
        insta::assert_snapshot!(line.replace("\r\n", "\n"), @r"
        Received: from mail.bob.test ([192.0.2.7])
        	by alice.test (Freehold) with ESMTPS id abc
        	(TLSv1.3 TLS13_AES_256_GCM_SHA384)
        	for <alice@alice.test>;
        	Fri, 1 May 2026 12:00:00 +0000
        ");
    }

    #[test]
    fn invalid_name_and_several_recipients_are_left_out() {
        let line = received(
            &envelope("evil)\tfor", &["a@alice.test", "b@alice.test"]),
            &peer(false),
            "alice.test",
            "abc",
            NOON,
        );
        assert!(
            line.starts_with("Received: from [192.0.2.7] ([192.0.2.7])\r\n")
                && !line.contains("evil")
                && !line.contains("for <")
        );
    }

    #[test]
    fn submission_trace_has_no_client_address() {
        let mut mine = envelope("[10.0.0.7]", &["bob@bob.test"]);
        mine.login = Some("alice".into());
        let line = submitted(&mine, &peer(true), "alice.test", "abc", NOON);
        assert!(
            line.starts_with("Received: by alice.test (Freehold) with ESMTPSA id abc")
                && !line.contains("192.0.2")
                && !line.contains("10.0.0")
        );
    }
}
