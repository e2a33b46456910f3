//! Plans against a zone that is given; the exchange with a real name server is judged from outside.

use super::*;
use crate::Domain;

fn ruth() -> Domain {
    Domain {
        name: "ruth.example".to_owned(),
        host: "ruth.example".to_owned(),
        addresses: vec!["192.0.2.7".parse().unwrap(), "192.0.2.8".parse().unwrap()],
        ..Domain::default()
    }
}

fn record(name: &str, data: Data) -> Record {
    Record { name: name.to_owned(), ttl: 3600, data }
}

fn text(text: &str) -> Data {
    Data::Txt { text: text.to_owned() }
}

fn a(last: u8) -> Data {
    Data::A { address: [192, 0, 2, last].into() }
}

fn removed(wanted: Record, found: &[Data]) -> Vec<Data> {
    let mut plan = Plan::default();
    plan.replace(&ruth(), wanted, found);
    plan.remove.into_iter().map(|record| record.data).collect()
}

#[test]
fn other_address_of_the_machine_stays() {
    assert_eq!(removed(record("ruth.example", a(7)), &[a(8), a(9)]), [a(9)]);
}

#[test]
fn text_of_another_use_stays() {
    let found = [text("site-verification=1"), text("v=spf1 -all")];
    let spf = record("ruth.example", text("v=spf1 mx a -all"));
    assert_eq!(removed(spf, &found), [text("v=spf1 -all")]);
}

#[test]
fn own_key_replaces_every_text_at_its_name() {
    let key = record("a._domainkey.ruth.example", text("v=DKIM1; p=AA"));
    assert_eq!(removed(key, &[text("p=")]), [text("p=")]);
}

#[test]
fn alias_replaces_the_addresses_at_its_name() {
    let alias = Data::Cname { target: "ruth.example".to_owned() };
    assert_eq!(removed(record("mta-sts.ruth.example", alias), &[a(9)]), [a(9)]);
}

#[test]
fn update_removes_before_it_adds() {
    let plan = Plan {
        add: vec![record("ruth.example", a(7))],
        remove: vec![record("ruth.example", a(9))],
        conflicts: Vec::new(),
    };
    let message = plan.message("ruth.example").unwrap();
    let classes: Vec<_> = message.authorities.iter().map(|record| record.dns_class).collect();
    assert_eq!(classes, [DNSClass::NONE, DNSClass::IN]);
    let bytes = message.to_vec().unwrap();
    // RFC 2136 2.2: the opcode is 5; 2.3: one zone, of type SOA.
    assert_eq!((bytes[2] >> 3) & 15, 5);
    assert_eq!(bytes[4..6], [0, 1]);
}

#[test]
fn name_of_a_longer_label_is_not_within() {
    assert!(is_within("ruth.example", "ruth.example"));
    assert!(is_within("a.ruth.example", "ruth.example"));
    assert!(!is_within("notruth.example", "ruth.example"));
}
