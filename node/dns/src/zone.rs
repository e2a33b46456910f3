//! The records that the domain of a node needs.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::Serialize;

use crate::{Data, Record};

/// How long others may remember a record, in seconds: an hour, so that a change of host is known
/// within one.
const TTL: u32 = 3600;
/// The preference of the node among the mail servers of the domain.
const MX_PREFERENCE: u16 = 10;

/// A node's domain, and what serves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    /// The domain of the owner's address, in ASCII.
    pub name: String,
    /// The name of the machine, which mail servers greet with; the domain itself or a host in it.
    pub host: String,
    /// The other host names of the site.
    pub names: Vec<String>,
    /// The public addresses of the machine.
    pub addresses: Vec<IpAddr>,
    /// The keys that sign mail: the name of each record and its text (RFC 6376 3.6.1).
    pub dkim: Vec<(String, String)>,
    /// The text of the MTA-STS record (RFC 8461 3.1), if there is a policy.
    pub mta_sts: Option<String>,
    /// The servers besides this machine that send the owner's mail, as SPF mechanisms such as
    /// `include:provider.example` (RFC 7208 5).
    pub senders: Vec<String>,
    /// Where programs reach the owner's mail.
    pub ports: Ports,
    /// The authority that may issue certificates (RFC 8659); all may if there is none.
    pub certificate_authority: Option<String>,
}

/// A record that the domain should have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// The record.
    #[serde(flatten)]
    pub record: Record,
    /// True if mail or pages do not work without it.
    pub is_required: bool,
    /// The use of it: one short sentence.
    pub purpose: &'static str,
}

/// The ports that SRV records name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// IMAP with TLS from the first byte.
    pub imaps: u16,
    /// Submission with TLS from the first byte.
    pub submissions: u16,
    /// Submission with STARTTLS.
    pub submission: u16,
    /// Friends' nodes over libp2p.
    pub libp2p: u16,
}

impl Domain {
    /// The records, each once, in the order in which a person adds them: first the machine, then
    /// mail, then the services.
    pub fn records(&self) -> Vec<Wanted> {
        let mut records = self.of_the_machine();
        records.extend(self.of_mail());
        records.extend(self.of_services());
        let mut seen = BTreeSet::new();
        records.retain(|Wanted { record, .. }| {
            seen.insert((record.name.clone(), record.data.to_string()))
        });
        records
    }

    /// Whether the name is the domain or in it, so that the owner has a say in its records.
    pub(crate) fn has(&self, name: &str) -> bool {
        is_within(name, &self.name)
    }

    fn of_the_machine(&self) -> Vec<Wanted> {
        let mut records: Vec<Wanted> = Vec::new();
        let names = [&self.name, &self.host].into_iter().filter(|name| self.has(name));
        for name in names {
            let each = self.addresses.iter().map(|address| record(name, at(*address)));
            records.extend(each.map(|record| required(record, "The address of your machine.")));
        }
        let is_alias =
            |name: &&String| **name != self.host && **name != self.name && self.has(name);
        let aliases = self.names.iter().filter(is_alias);
        let purpose = "Another name of your site.";
        records.extend(aliases.map(|name| required(self.alias(name), purpose)));
        if let Some(authority) = &self.certificate_authority {
            let data = Data::Caa { tag: "issue".to_owned(), value: authority.clone() };
            let purpose = "No other authority may issue certificates for your domain.";
            records.push(advised(record(&self.name, data), purpose));
        }
        records
    }

    fn of_mail(&self) -> Vec<Wanted> {
        let mx = Data::Mx { preference: MX_PREFERENCE, exchange: self.host.clone() };
        let mut records = vec![
            required(record(&self.name, mx), "Mail for your domain goes to this machine."),
            required(text(&self.name, self.spf()), "This machine may send your mail (SPF)."),
        ];
        if self.host != self.name && self.has(&self.host) {
            // The name in EHLO is checked where the sender of a report is empty (RFC 7208 2.3).
            let spf = text(&self.host, "v=spf1 a -all".to_owned());
            records.push(advised(spf, "The same for reports, which have no sender (SPF)."));
        }
        let purpose = "The key by which others verify the signature of your mail (DKIM).";
        let keys = self.dkim.iter().map(|(name, value)| text(name, value.clone()));
        records.extend(keys.map(|key| required(key, purpose)));
        let reports = format!("mailto:postmaster@{}", self.name);
        let dmarc = format!("v=DMARC1; p=quarantine; rua={reports}");
        let dmarc = text(&format!("_dmarc.{}", self.name), dmarc);
        records.push(required(dmarc, "Mail that forges your address is junk (DMARC)."));
        if let Some(value) = &self.mta_sts {
            let purpose = "Others send to you over verified TLS (MTA-STS).";
            let policy = text(&format!("_mta-sts.{}", self.name), value.clone());
            records.push(advised(policy, purpose));
            let host = self.alias(&format!("mta-sts.{}", self.name));
            records.push(advised(host, "The host of that policy."));
        }
        let tls_reports = format!("v=TLSRPTv1; rua={reports}");
        let tls_reports = text(&format!("_smtp._tls.{}", self.name), tls_reports);
        records.push(advised(tls_reports, "Others report failures of TLS to you (TLS-RPT)."));
        records
    }

    fn of_services(&self) -> Vec<Wanted> {
        let Ports { imaps, submissions, submission, libp2p } = self.ports;
        let programs = "Mail programs find the server by your address.";
        let friends = "Friends' nodes find this one by your address.";
        let mut records = vec![
            advised(self.service("_imaps._tcp", imaps), programs),
            advised(self.service("_submissions._tcp", submissions), programs),
            advised(self.service("_submission._tcp", submission), programs),
            advised(self.service("_freehold._tcp", libp2p), friends),
            advised(self.service("_freehold._udp", libp2p), friends),
        ];
        // RFC 6186 3.2: the target "." says that there is no such service.
        for service in ["_imap._tcp", "_pop3._tcp", "_pop3s._tcp"] {
            let none = Data::Srv { priority: 0, weight: 0, port: 0, target: String::new() };
            let none = record(&format!("{service}.{}", self.name), none);
            records.push(advised(none, "Mail programs do not look for this service."));
        }
        for host in ["autoconfig", "autodiscover"] {
            let host = self.alias(&format!("{host}.{}", self.name));
            records.push(advised(host, "Mail programs fetch their settings there."));
        }
        records
    }

    /// The machines that may send mail of the domain (RFC 7208).
    fn spf(&self) -> String {
        let host = match self.host == self.name {
            true => String::new(),
            false => format!(":{}", self.host),
        };
        let others: String = self.senders.iter().map(|sender| format!(" {sender}")).collect();
        format!("v=spf1 mx a{host}{others} -all")
    }

    fn service(&self, service: &str, port: u16) -> Record {
        let target = self.host.clone();
        let data = Data::Srv { priority: 0, weight: 1, port, target };
        record(&format!("{service}.{}", self.name), data)
    }

    fn alias(&self, name: &str) -> Record {
        record(name, Data::Cname { target: self.host.clone() })
    }
}

/// Whether the name is the zone's or below it.
pub(crate) fn is_within(name: &str, zone: &str) -> bool {
    let inner = name.strip_suffix(zone);
    inner.is_some_and(|inner| inner.is_empty() || inner.ends_with('.'))
}

fn required(record: Record, purpose: &'static str) -> Wanted {
    Wanted { record, is_required: true, purpose }
}

fn advised(record: Record, purpose: &'static str) -> Wanted {
    Wanted { record, is_required: false, purpose }
}

fn at(address: IpAddr) -> Data {
    match address {
        IpAddr::V4(address) => Data::A { address },
        IpAddr::V6(address) => Data::Aaaa { address },
    }
}

fn text(name: &str, text: String) -> Record {
    record(name, Data::Txt { text })
}

fn record(name: &str, data: Data) -> Record {
    Record { name: name.to_owned(), ttl: TTL, data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone_file;

    fn ruth() -> Domain {
        Domain {
            name: "ruth.example".to_owned(),
            host: "mail.ruth.example".to_owned(),
            names: vec!["www.ruth.example".to_owned(), "elsewhere.example".to_owned()],
            addresses: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
            dkim: vec![("a._domainkey.ruth.example".to_owned(), "v=DKIM1; p=AA".to_owned())],
            mta_sts: Some("v=STSv1; id=1".to_owned()),
            senders: vec!["include:relay.example".to_owned()],
            ports: Ports { imaps: 993, submissions: 465, submission: 587, libp2p: 7001 },
            certificate_authority: Some("letsencrypt.org".to_owned()),
        }
    }

    fn written(domain: &Domain) -> Vec<String> {
        let records: Vec<Record> =
            domain.records().into_iter().map(|wanted| wanted.record).collect();
        let file = zone_file(&domain.name, &records);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        file.lines().map(words).collect()
    }

    #[test]
    fn zone_has_machine_mail_and_services() {
        let lines = written(&ruth());
        for line in [
            "$ORIGIN ruth.example.",
            "@ 3600 IN A 192.0.2.7",
            "mail 3600 IN AAAA 2001:db8::7",
            "www 3600 IN CNAME mail.ruth.example.",
            "@ 3600 IN MX 10 mail.ruth.example.",
            "@ 3600 IN TXT \"v=spf1 mx a:mail.ruth.example include:relay.example -all\"",
            "_imaps._tcp 3600 IN SRV 0 1 993 mail.ruth.example.",
            "_imap._tcp 3600 IN SRV 0 0 0 .",
            "@ 3600 IN CAA 0 issue \"letsencrypt.org\"",
            "mta-sts 3600 IN CNAME mail.ruth.example.",
        ] {
            assert!(lines.iter().any(|found| found == line), "{line}: {lines:#?}");
        }
        assert!(!lines.iter().any(|line| line.contains("elsewhere")));
    }

    #[test]
    fn host_of_another_domain_has_no_records() {
        let domain = Domain { host: "vm1.provider.example".to_owned(), ..ruth() };
        let lines = written(&domain);
        assert!(!lines.iter().any(|line| line.starts_with("vm1")), "{lines:#?}");
        assert!(lines.iter().any(|line| line == "@ 3600 IN MX 10 vm1.provider.example."));
    }

    #[test]
    fn host_that_is_the_domain_has_each_record_once() {
        let domain = Domain { host: "ruth.example".to_owned(), ..ruth() };
        let lines = written(&domain);
        let addresses = lines.iter().filter(|line| *line == "@ 3600 IN A 192.0.2.7");
        assert_eq!(addresses.count(), 1);
        let spf = lines.iter().filter(|line| line.contains("v=spf1"));
        assert_eq!(spf.count(), 1);
    }
}
