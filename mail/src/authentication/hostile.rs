//! Fuzz tests over what strangers send and what their DNS answers.

use std::net::{IpAddr, Ipv4Addr};

use freehold_core::testing::fuzz::fuzz;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dmarc::Dmarc;
use mail_auth::spf::Spf;
use mail_auth::{DmarcOutput, SpfOutput};

use super::{Digest, Sender, authors, domains, results, split};

const SIGNED: &str = "ARC-Seal: i=1; a=rsa-sha256; t=1; cv=none; d=list.example; s=k; b=AAAA\r\n\
ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=list.example; s=k; t=1;\r\n \
h=from:to; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n\
ARC-Authentication-Results: i=1; mx.list.example; spf=pass smtp.mailfrom=a@b.example; dkim=pass\r\n\
DKIM-Signature: v=1; a=ed25519-sha256; s=key; d=bob.example; c=relaxed/simple; q=dns/txt; t=1;\r\n\
\th=From:Subject:Date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=AAAABBBB; i=@x.bob.example\r\n\
DKIM-Signature: v=1; a=rsa-sha1; l=20; s=k; d=x.example; h=from; bh=AAAA; b=AAAA\r\n\
From: Bob <bob@bob.example>, \"x\" <y@x.example>, g: a@b.example;\r\nSubject: hello\r\n there\r\n\r\n\
Hello.  \r\n\r\n.\t x\r\n\r\n\r\n";

#[test]
fn damaged_signed_message_is_checked_within_bounds() {
    let corpus = [SIGNED.as_bytes().to_vec(), SIGNED.repeat(40).into_bytes()];
    let sender = Sender {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        hello: "mail.bob.example".into(),
        mail_from: "bob@bob.example".into(),
    };
    fuzz("signed message", &corpus, |input| {
        let mut digest = Digest::default();
        for piece in input.chunks(97) {
            digest.read(piece);
        }
        let digested = digest.finish();
        let Some(mut message) = digested.message() else { return };
        let authors = authors(digested.header());
        let parts = split(&mut message, &domains(&authors));
        let count: usize = parts.iter().map(|part| part.dkim_headers.len()).sum();
        assert!(count <= super::SIGNATURES_MAX);
        let author = authors.first().cloned().unwrap_or_default();
        let checks = results::Checks {
            sender: &sender,
            spf: SpfOutput::new(author.clone()),
            signatures: Vec::new(),
            arc: None,
            dmarc: vec![DmarcOutput::new(author)],
            iprev: None,
        };
        let field = results::field("mx.alice.example", &checks);
        assert!(field.ends_with("\r\n") && !field.trim_end().contains("\r\n\r\n"), "{field}");
    });
}

#[test]
fn damaged_dns_records_are_parsed_or_refused() {
    let records = [
        "v=spf1 a mx:%{d}.x.example/24//64 include:_spf.%{ir}.b.example exists:%{l1r-}.c ptr \
         ip4:192.0.2.0/24 ip6:2001:db8::/32 redirect=_spf.example exp=e.%{d2} -all",
        "v=DMARC1; p=quarantine; sp=reject; np=none; adkim=s; aspf=r; pct=50; t=y; psd=n; \
         rua=mailto:a@b.example!10m; ruf=mailto:c@d.example; fo=1:d:s; rf=afrf; ri=86400",
        "v=DKIM1; k=rsa; h=sha256; t=y:s; s=email; n=note; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAA==",
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    ];
    let corpus: Vec<Vec<u8>> = records.iter().map(|record| record.as_bytes().to_vec()).collect();
    fuzz("dns record", &corpus, |input| {
        let parsed = [
            Spf::parse(input).is_ok(),
            Dmarc::parse(input).is_ok(),
            DomainKey::parse(input).is_ok(),
        ];
        assert!(parsed.iter().filter(|is_parsed| **is_parsed).count() <= 2);
    });
}
