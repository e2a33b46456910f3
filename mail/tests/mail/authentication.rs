//! The proof of a message's sender, as the DNS of its domains says: the field in the stored
//! message, and its folder.

use std::net::Ipv4Addr;

use freehold_core::mailbox::SpecialUse;
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{Canonicalization, DkimSigner};

use crate::dns::{self, Answer, Zone};
use crate::limits::proxied;
use crate::server::{TestServer, texts};

/// The last number of the client's address, 203.0.113.9.
pub(crate) const CLIENT: u8 = 9;
/// A client that speaks for nobody.
pub(crate) const STRANGER: u8 = 66;
/// The key pair of RFC 8463 A.2, in base64.
const SECRET: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

/// The DNS of bob.example, whose mail comes from the client and is signed, with the DMARC policy
/// `policy`; and of mallory.example, which has no policy.
pub(crate) fn zone(policy: &str) -> Zone {
    Zone::default()
        .text("bob.example", "v=spf1 ip4:203.0.113.9 -all")
        .text("key._domainkey.bob.example", &format!("v=DKIM1; k=ed25519; p={PUBLIC}"))
        .text("_dmarc.bob.example", &format!("v=DMARC1; p={policy}"))
        .with("9.113.0.203.in-addr.arpa", Answer::Pointer("mail.bob.example".into()))
        .with("mail.bob.example", Answer::Address(Ipv4Addr::new(203, 0, 113, 9)))
        .text("mallory.example", "v=spf1 +all")
}

pub(crate) async fn server(zone: Zone) -> TestServer {
    let config = MailConfig {
        dns_servers: vec![dns::serve(zone).await],
        proxy_protocol_from: vec!["127.0.0.1".parse().unwrap()],
        ..MailConfig::default()
    };
    TestServer::open(TestNode::new("alice").await, config).await
}

/// `message` with a signature of `domain` before it.
pub(crate) fn signed(domain: &str, form: Canonicalization, message: &str) -> String {
    let decoded = |text: &str| data_encoding::BASE64.decode(text.as_bytes()).unwrap();
    let key = Ed25519Key::from_seed_and_public_key(&decoded(SECRET), &decoded(PUBLIC)).unwrap();
    let signer = DkimSigner::from_key(key)
        .domain(domain)
        .selector("key")
        .headers(["From", "Subject"])
        .header_canonicalization(form)
        .body_canonicalization(form);
    format!("{}{message}", signer.sign(message.as_bytes()).unwrap().to_header())
}

/// The reply to `message` from `mail_from`, sent by the client 203.0.113.`host`.
pub(crate) async fn send(alice: &TestServer, host: u8, mail_from: &str, message: &str) -> String {
    let mut client = proxied(alice.addresses.smtp, host).await;
    client.reply().await;
    client.command("EHLO mail.bob.example").await;
    client.command(&format!("MAIL FROM:<{mail_from}>")).await;
    assert!(client.command("RCPT TO:<alice@alice.example>").await.starts_with("250"));
    assert!(client.command("DATA").await.starts_with("354"));
    client.send(message.as_bytes()).await;
    client.command(".").await
}

/// The only message of a folder.
pub(crate) fn only(alice: &TestServer, folder: SpecialUse) -> String {
    let mut messages = texts(&alice.node, folder);
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.pop().unwrap()
}

/// The results that this server added, without folding; they stand before Received.
pub(crate) fn results(message: &str) -> String {
    let (trace, _) = message.split_once("\r\nReceived: ").unwrap();
    let (_, value) = trace.split_once("Authentication-Results: alice.example").unwrap();
    value.replace("\r\n\t", " ")
}

pub(crate) const HELLO: &str = "From: Bob <bob@bob.example>\r\nSubject: hello\r\n\r\nHello.\r\n";

#[tokio::test]
async fn proven_message_has_its_results_before_received() {
    for form in [Canonicalization::Relaxed, Canonicalization::Simple] {
        let alice = server(zone("reject")).await;
        let message = signed("bob.example", form, HELLO);
        let reply = send(&alice, CLIENT, "bob@bob.example", &message).await;
        assert!(reply.starts_with("250 "), "{reply}");
        let stored = only(&alice, SpecialUse::Inbox);
        assert!(stored.starts_with("Return-Path: <bob@bob.example>\r\nAuthentication-Results: "));
        assert!(stored.ends_with(&message));
        let results = results(&stored);
        for expected in [
            "dkim=pass header.d=bob.example header.s=key",
            "dmarc=pass header.from=bob.example policy.dmarc=reject",
            "spf=pass",
            "smtp.mailfrom=bob@bob.example",
            "iprev=pass policy.iprev=203.0.113.9",
        ] {
            assert!(results.contains(expected), "{expected}: {results}");
        }
        alice.close().await;
    }
}

#[tokio::test]
async fn long_signed_message_is_stored_whole() {
    let alice = server(zone("reject")).await;
    let line = "The same words again and again, up to the end of the line.\r\n";
    let text = format!("From: bob@bob.example\r\nSubject: long\r\n\r\n{}", line.repeat(8000));
    let message = signed("bob.example", Canonicalization::Relaxed, &text);
    assert!(send(&alice, STRANGER, "", &message).await.starts_with("250 "));
    let stored = only(&alice, SpecialUse::Inbox);
    assert!(stored.ends_with(&message));
    let results = results(&stored);
    assert!(results.contains("dkim=pass") && results.contains("dmarc=pass"), "{results}");
    let orphans = alice.node.blobs.orphan_paths(&alice.node.store).unwrap();
    assert_eq!(orphans, Vec::<std::path::PathBuf>::new());
    alice.close().await;
}

#[tokio::test]
async fn message_that_its_domain_disowns_goes_to_junk() {
    let altered = signed("bob.example", Canonicalization::Relaxed, HELLO) + "And more.\r\n";
    let by_mallory = signed("mallory.example", Canonicalization::Relaxed, HELLO);
    let first_of_two = HELLO.replace("Bob <bob@bob.example>", "bob@bob.example, m@mallory.example");
    let second_of_two =
        HELLO.replace("Bob <bob@bob.example>", "m@mallory.example, bob@bob.example");
    let marked = format!("\u{feff}{HELLO}");
    let dotted = HELLO.replace("bob.example>", "BOB.example.>");
    let grouped = HELLO.replace("Bob <bob@bob.example>", "g: Bob <bob@bob.example>;");
    let messages =
        [HELLO, &altered, &by_mallory, &first_of_two, &second_of_two, &marked, &dotted, &grouped];
    for policy in ["reject", "quarantine"] {
        for message in messages {
            // The forger's own DNS fails.
            let zone = zone(policy)
                .with("_dmarc.mallory.example", Answer::Failure)
                .with("key._domainkey.mallory.example", Answer::Failure);
            let alice = server(zone).await;
            let reply = send(&alice, STRANGER, "m@mallory.example", message).await;
            assert!(reply.starts_with("250 "), "{reply}");
            let stored = only(&alice, SpecialUse::Junk);
            let results = results(&stored);
            assert!(results.contains("dmarc=fail"), "{results}");
            assert!(results.contains("header.from=bob.example"), "{results}");
            assert!(texts(&alice.node, SpecialUse::Inbox).is_empty());
            alice.close().await;
        }
    }
}

#[tokio::test]
async fn message_without_a_policy_stays_in_the_inbox() {
    for (policy, sender) in [("none", "bob@bob.example"), ("reject", "m@mallory.example")] {
        let alice = server(zone(policy)).await;
        let message = format!("From: {sender}\r\nSubject: s\r\n\r\nHello.\r\n");
        assert!(send(&alice, STRANGER, sender, &message).await.starts_with("250 "));
        only(&alice, SpecialUse::Inbox);
        alice.close().await;
    }
}

/// Four hours, in milliseconds.
const DEFERRED_MS: u64 = 4 * 60 * 60 * 1000;

#[tokio::test]
async fn failing_dns_defers_what_its_domain_may_disown() {
    let failing = |policy: &str| {
        Zone::default()
            .text("_dmarc.bob.example", &format!("v=DMARC1; p={policy}"))
            .with("key._domainkey.bob.example", Answer::Failure)
            .with("bob.example", Answer::Failure)
    };
    let message = signed("bob.example", Canonicalization::Relaxed, HELLO);
    for policy in ["reject", "quarantine"] {
        let alice = server(failing(policy)).await;
        for millis in [0, DEFERRED_MS - 1] {
            alice.node.clock.advance(millis);
            let reply = send(&alice, CLIENT, "bob@bob.example", &message).await;
            assert!(reply.starts_with("451 4.4.3 "), "{reply}");
        }
        // An honest sender tries again, and DNS does not answer for so long: nothing is lost.
        alice.node.clock.advance(1);
        assert!(send(&alice, CLIENT, "bob@bob.example", &message).await.starts_with("250 "));
        let results = results(&only(&alice, SpecialUse::Junk));
        for expected in ["dkim=temperror", "spf=temperror", "dmarc=temperror"] {
            assert!(results.contains(expected), "{expected}: {results}");
        }
        alice.close().await;
    }
    let alice = server(failing("none")).await;
    assert!(send(&alice, CLIENT, "bob@bob.example", &message).await.starts_with("250 "));
    only(&alice, SpecialUse::Inbox);
    alice.close().await;
}

#[tokio::test]
async fn name_that_never_answers_avoids_no_policy() {
    // The forger names a signer below the domain, or a server of its own, whose DNS fails.
    let below = signed("slow.bob.example", Canonicalization::Relaxed, HELLO);
    for (message, mail_from, expected) in [
        (below.as_str(), "m@mallory.example", "451 4.4.3 "),
        (HELLO, "m@slow.bob.example", "451 4.4.3 "),
        (HELLO, "m@slow.mallory.example", "250 "),
    ] {
        let zone = zone("reject")
            .with("key._domainkey.slow.bob.example", Answer::Failure)
            .with("slow.bob.example", Answer::Failure)
            .with("_dmarc.slow.bob.example", Answer::Failure)
            .with("slow.mallory.example", Answer::Failure)
            .with("_dmarc.slow.mallory.example", Answer::Failure);
        let alice = server(zone).await;
        let reply = send(&alice, STRANGER, mail_from, message).await;
        assert!(reply.starts_with(expected), "{mail_from}: {reply}");
        assert!(texts(&alice.node, SpecialUse::Inbox).is_empty(), "{mail_from}");
        // A proof counts beside it.
        let proven = signed("bob.example", Canonicalization::Relaxed, message);
        assert!(send(&alice, CLIENT, "bob@bob.example", &proven).await.starts_with("250 "));
        only(&alice, SpecialUse::Inbox);
        alice.close().await;
    }
}

#[tokio::test]
async fn field_added_to_a_signed_message_proves_nothing() {
    let whole = signed("bob.example", Canonicalization::Relaxed, HELLO);
    for added in ["Subject: forged", "subject : forged", "Content-Type: text/html"] {
        let text = HELLO.replace("\r\n\r\n", "\r\nContent-Type: text/plain\r\n\r\n");
        let message =
            format!("{added}\r\n{}", signed("bob.example", Canonicalization::Relaxed, &text));
        for (policy, folder) in [("reject", SpecialUse::Junk), ("none", SpecialUse::Inbox)] {
            let alice = server(zone(policy)).await;
            assert!(send(&alice, STRANGER, "", &message).await.starts_with("250 "));
            let stored = only(&alice, folder);
            let results = results(&stored);
            assert!(
                results.contains("dkim=policy (") && results.contains("dmarc=fail"),
                "{results}"
            );
            assert!(!results.contains("=pass"), "{results}");
            alice.close().await;
        }
    }
    // One more that says the same changes nothing that is shown.
    let alice = server(zone("reject")).await;
    assert!(
        send(&alice, STRANGER, "", &format!("Subject:  hello\r\n{whole}"))
            .await
            .starts_with("250 ")
    );
    assert!(results(&only(&alice, SpecialUse::Inbox)).contains("dkim=pass"));
    alice.close().await;
}

#[tokio::test]
async fn forged_results_of_this_server_are_removed() {
    let forged = "Authentication-Results: alice.example; dmarc=pass\r\n header.from=bank.example\r\n\
                  authentication-results : (a\r\n comment) ALICE.example 1;\r\n spf=pass\r\n";
    let forged = format!("{forged}Authentication-Results: \"alice\\.example\"; dmarc=pass\r\n");
    let other = "Authentication-Results: mx.other.example; spf=fail\r\n";
    let alice = server(zone("none")).await;
    let message = format!("{forged}{other}{HELLO}");
    assert!(send(&alice, STRANGER, "m@mallory.example", &message).await.starts_with("250 "));
    let stored = only(&alice, SpecialUse::Inbox);
    assert!(stored.ends_with(&format!("{other}{HELLO}")), "{stored}");
    assert!(!stored.contains("bank.example") && !stored.contains("comment"), "{stored}");
    assert!(!stored.contains("\\.example"), "a quoted-pair hides no name: {stored}");
    alice.close().await;
}

#[tokio::test]
async fn two_from_fields_are_refused() {
    let alice = server(zone("none")).await;
    let message = format!("From: mallory@mallory.example\r\n{HELLO}");
    let reply = send(&alice, STRANGER, "m@mallory.example", &message).await;
    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    alice.close().await;
}

#[tokio::test]
async fn header_too_long_to_be_checked_is_refused() {
    let alice = server(zone("reject")).await;
    let field = format!("X-Filler: {}\r\n", "x".repeat(900));
    let long = field.repeat(150) + HELLO;
    let reply = send(&alice, STRANGER, "m@mallory.example", &long).await;
    assert!(reply.starts_with("552 5.3.4 "), "{reply}");
    let shorter = field.repeat(100) + HELLO;
    assert!(send(&alice, STRANGER, "m@mallory.example", &shorter).await.starts_with("250 "));
    assert!(results(&only(&alice, SpecialUse::Junk)).contains("dmarc=fail"));
    alice.close().await;
}

#[tokio::test]
async fn hostile_keys_and_records_give_a_result() {
    let weak =
        "MEgwQQYJKoZIhvcNAQEBBQADMAAwLQIoAMTRw4V8gl0wdKOSrEJ2aG4RZyIu1l0OaHdLuGHvhZ8CAwEAAQ==";
    let records = [
        format!("v=DKIM1; k=rsa; p={weak}"),
        format!("v=DKIM1; k=ed25519; p={}", "A".repeat(60_000)),
        "v=DKIM1; p=".to_owned(),
        "p=;;;=;".repeat(5000),
        format!("v=DKIM1; n={}; k=ed25519; p={PUBLIC}", "x".repeat(30_000)),
    ];
    for record in records {
        let includes = (0..100).map(|at| format!("include:i{at}.bob.example "));
        let hostile = Zone::default()
            .text("key._domainkey.bob.example", &record)
            .text("_dmarc.bob.example", &format!("v=DMARC1; p=none; rua={}", "x".repeat(20_000)))
            .text("bob.example", &format!("v=spf1 {}-all", includes.collect::<String>()))
            .text("i0.bob.example", "v=spf1 include:bob.example -all");
        let alice = server(hostile).await;
        let one = signed("bob.example", Canonicalization::Relaxed, HELLO);
        let field = &one[..one.len() - HELLO.len()];
        let message = field.repeat(50) + HELLO;
        let reply = send(&alice, STRANGER, "bob@bob.example", &message).await;
        assert!(reply.starts_with("250 "), "{reply}");
        let results = results(&only(&alice, SpecialUse::Inbox));
        assert!(results.matches("dkim=").count() <= 10, "{results}");
        assert!(results.contains("spf=permerror"), "{results}");
        alice.close().await;
    }
}

#[tokio::test]
async fn many_authors_hide_no_forged_one() {
    let alice = server(zone("reject")).await;
    let others: Vec<String> = (0..4).map(|n| format!("m@m{n}.example")).collect();
    let message =
        format!("From: {}, bob@bob.example\r\nSubject: s\r\n\r\nHello.\r\n", others.join(", "));
    assert!(send(&alice, STRANGER, "m@mallory.example", &message).await.starts_with("250 "));
    only(&alice, SpecialUse::Junk);
    alice.close().await;
}

/// Messages that dkimpy 1.1.8 has signed (RFC 6376 3.4): bodies that end in lines of white space,
/// empty bodies, fields of white space alone, a field that `h=` names twice, and a folded `b=`.
const SIGNED_ELSEWHERE: [&str; 10] = [
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=bob.example;\r\n i=@bob.example; q=dns/txt; s=key; t=1796143588; h=from : subject;\r\n bh=EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY=;\r\n b=DLD6/CYRO/\r\n \t 2lovAdnXJGw1yb/BwWTWq/iNDvKpvzv4SYyU3Hr7wxGg1u72A2ns/Pf+Z/x\r\n JXe5K40IyR2zB15Ag==\r\nFrom: Bob <bob@bob.example>\r\nSubject:  hello \r\n\tagain\r\n\r\nHello!\r\n  \r\n",
    "DKIM-Signature: v=1; a=ed25519-sha256; c=simple/relaxed; d=bob.example;\r\n i=@bob.example; q=dns/txt; s=key; t=1796143588; h=from : subject;\r\n bh=EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY=;\r\n b=0mXWhkLWoxl81T9FiU6ahXTiLL8CEfTckNLfad/lpdpVi9v2zXZos7BUFioiK/8gTEAsA\r\n PMNTnWfUXQBdVzwAw==\r\nFrom: Bob <bob@bob.example>\r\nSubject:  hello \r\n\tagain\r\n\r\nHello!\r\n\t\r\n\r\n \r\n",
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=bob.example;\r\n i=@bob.example; q=dns/txt; s=key; t=1796143588; h=from : subject;\r\n bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n b=a/mRzte0Dl\r\n \t gQVbFWsnkdAWLz1qZ1wV5PjbnLm3oCBPlwh6Jf0GYrVZpzo8PLZ+ObNMAW0\r\n c9+EQ2YudQAepIECQ==\r\nFrom: Bob <bob@bob.example>\r\nSubject:  hello \r\n\tagain\r\n\r\n \r\n\r\n",
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=bob.example;\r\n i=@bob.example; q=dns/txt; s=key; t=1796143588; h=from : subject;\r\n bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n b=a/mRzte0Dl\r\n \t gQVbFWsnkdAWLz1qZ1wV5PjbnLm3oCBPlwh6Jf0GYrVZpzo8PLZ+ObNMAW0\r\n c9+EQ2YudQAepIECQ==\r\nFrom: Bob <bob@bob.example>\r\nSubject:  hello \r\n\tagain\r\n\r\n",
    "DKIM-Signature: v=1; a=ed25519-sha256; c=simple/simple; d=bob.example;\r\n i=@bob.example; q=dns/txt; s=key; t=1796143588; h=from : subject;\r\n bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=;\r\n b=kjGM0tVaMBuDPraqVOCN9/CuGilu6AkeBtl5kmzeJqYh/P6qZLHKWTHdZ3qjijN/kdZir\r\n IUbdDd9sfuZJPW+Bg==\r\nFrom: Bob <bob@bob.example>\r\nSubject:  hello \r\n\tagain\r\n\r\n",
    "DKIM-Signature: v=1; a=ed25519-sha256; c=simple/simple; d=bob.example;\r\n i=@bob.example; q=dns/txt; s=key; t=1796143588; h=from : subject;\r\n bh=XX6uKwpwrVoEer/4JB6A3ttHZTz9e2tGQoGBw+Pt3Ls=;\r\n b=p3DsJEoYswQJR1u0RzvAwAMXOM7bGHYod+TShHLUYJLU6sh0ChYaSccFE8Wd5PCz++r3A\r\n takDgIDbc6yaG6lDw==\r\nFrom: Bob <bob@bob.example>\r\nSubject:  hello \r\n\tagain\r\n\r\nHello! \r\n  \r\n\r\n",
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/simple; d=bob.example;\r\n i=@bob.example; q=dns/txt; s=key; t=1796143588; h=from : subject;\r\n bh=hZ1qjppSUb7MYG16/9YCfKwk13qb08EKrTTIIPYUin8=;\r\n b=hiqah907pg\r\n \t ltow7EO00cQDgqVbhWjUO7buIsotKssVZfhj6q95KDGgv42UquDOGQDeLmS\r\n jEbwaCCoCRD0qPKCQ==\r\nFrom: Bob <bob@bob.example>\r\nSubject:  hello \r\n\tagain\r\n\r\nHello!  you \t\r\n\r\n\r\n",
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=bob.example;\r\n i=@bob.example; q=dns/txt; s=key; t=1796143588; h=from : subject :\r\n x-empty : x-none : x-folded;\r\n bh=EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY=;\r\n b=r7jDbIojgehsc9w3L4eDz3nzLV3Ia+GNR6wMbs2OlzD5glnlMofFEUR2UvGYiIgyFl1TD\r\n bTVIWmdBelxlP+kBg==\r\nFrom: Bob <bob@bob.example>\r\nSubject: \r\nX-Empty:  \t \r\nX-None:\r\nX-Folded:\r\n \r\n a\r\n\r\nHello!\r\n",
    "DKIM-Signature: v=1; a=ed25519-sha256; c=simple/simple; d=bob.example;\r\n i=@bob.example; q=dns/txt; s=key; t=1796143588; h=from : subject :\r\n x-empty : x-none; bh=EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY=;\r\n b=0OYUYhstRLHvj7QK9F2Eod0GfeMZ1QGXoOk8vdjpcYf0Gp9WBBobxUVvcZVFU+d1Hlycq\r\n szc+utPH/DVU9rKBg==\r\nFrom: Bob <bob@bob.example>\r\nSubject: \r\nX-Empty:  \t \r\nX-None:\r\n\r\nHello!\r\n",
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=bob.example;\r\n i=@bob.example; q=dns/txt; s=key; t=1796143588; h=from : from : x-a :\r\n x-a : subject : subject;\r\n bh=EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY=;\r\n b=1LozlPox4GKABdFsmJmVguFYEOvOQJ3aC+HO0yFniyYfH8wwI9O08a8m2op5F5hZ+mBdT\r\n Du3H7jbYlRxPMIRBQ==\r\nX-A: 1\r\nFrom: Bob <bob@bob.example>\r\nX-A:  2\r\nSubject: a\r\nX-A: 3\r\n\r\nHello!\r\n",
];

#[tokio::test]
async fn signature_of_another_implementation_passes() {
    for message in SIGNED_ELSEWHERE {
        let alice = server(zone("reject")).await;
        let reply = send(&alice, STRANGER, "", message).await;
        assert!(reply.starts_with("250 "), "{reply}");
        let messages = texts(&alice.node, SpecialUse::Inbox);
        assert_eq!(messages.len(), 1, "in the inbox: {message:?}");
        assert!(results(&messages[0]).contains("dkim=pass"), "{message:?}: {messages:?}");
        alice.close().await;
    }
    // The simple form counts lines of white space, and the relaxed one no other change.
    for message in [
        format!("{} \r\n", SIGNED_ELSEWHERE[5]),
        SIGNED_ELSEWHERE[0].replace("Hello!", "Hello! And more."),
        SIGNED_ELSEWHERE[0].replace("Hello!\r\n", "Hello!\r\n\r\nx"),
    ] {
        let alice = server(zone("reject")).await;
        assert!(send(&alice, STRANGER, "", &message).await.starts_with("250 "));
        assert!(!results(&only(&alice, SpecialUse::Junk)).contains("dkim=pass"));
        alice.close().await;
    }
}

#[tokio::test]
async fn two_spf_records_are_an_error() {
    let two = Zone::default()
        .text("bob.example", "v=spf1 +all")
        .text("bob.example", "v=spf1 -all")
        .text("bob.example", "v=spf1x is another text")
        .text("_dmarc.bob.example", "v=DMARC1; p=reject")
        .text("_dmarc.bob.example", "v=DMARC1; p=none");
    let included = Zone::default()
        .text("bob.example", "v=spf1 include:a.bob.example -all")
        .text("a.bob.example", "v=spf1 +all")
        .text("a.bob.example", "V=SPF1 -all");
    for zone in [two, included] {
        let alice = server(zone).await;
        assert!(send(&alice, CLIENT, "bob@bob.example", HELLO).await.starts_with("250 "));
        let results = results(&only(&alice, SpecialUse::Inbox));
        assert!(results.contains("spf=permerror"), "{results}");
        assert!(!results.contains("policy.dmarc=reject"), "{results}");
        alice.close().await;
    }
}

#[tokio::test]
async fn ambiguous_dmarc_record_yields_to_the_organization() {
    let zone = Zone::default()
        .text("bob.example", "v=spf1 -all")
        .text("bob.example", "another text")
        .text("_dmarc.news.bob.example", "v=DMARC1; p=none")
        .text("_dmarc.news.bob.example", "v=DMARC1; p=none; rua=mailto:d@bob.example")
        .text("_dmarc.bob.example", "v=DMARC1; p=reject")
        .text("_dmarc.bob.example", "another text");
    let alice = server(zone).await;
    let message = HELLO.replace("bob@bob.example", "bob@news.bob.example");
    assert!(send(&alice, STRANGER, "bob@bob.example", &message).await.starts_with("250 "));
    let results = results(&only(&alice, SpecialUse::Junk));
    assert!(results.contains("dmarc=fail") && results.contains("spf=fail"), "{results}");
    alice.close().await;
}
