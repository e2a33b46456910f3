use super::*;

fn ruth() -> Domain {
    Domain {
        name: "ruth.example".to_owned(),
        host: "mail.ruth.example".to_owned(),
        addresses: vec!["192.0.2.7".parse().unwrap()],
        ..Domain::default()
    }
}

fn text(text: &str) -> Data {
    Data::Txt { text: text.to_owned() }
}

fn judged(wanted: Data, found: &[Data]) -> State {
    let record = Record { name: "ruth.example".to_owned(), ttl: 0, data: wanted };
    judge(&ruth(), &record, found)
}

fn is_different(state: State) -> bool {
    matches!(state, State::Different(..))
}

const SPF: &str = "v=spf1 mx a:mail.ruth.example -all";

#[test]
fn spf_of_the_owner_must_name_the_machine() {
    let others = [text("google-site-verification=1"), text("v=spf10 mx")];
    assert_eq!(judged(text(SPF), &others), State::Missing);
    for right in ["V=SPF1 +MX ~all", "v=spf1 ip4:192.0.2.0/24 -all", "v=spf1 a:mail.ruth.example"] {
        assert_eq!(judged(text(SPF), &[text(right)]), State::Right, "{right}");
    }
    for wrong in ["v=spf1 -mx -all", "v=spf1 ip4:192.0.3.0/24 ?all", "v=spf1 a -all", "v=spf1"] {
        assert!(is_different(judged(text(SPF), &[text(wrong)])), "{wrong}");
    }
    // RFC 7208 4.5: two records are a permanent error.
    assert!(is_different(judged(text(SPF), &[text(SPF), text("v=spf1 mx")])));
}

#[test]
fn spf_of_the_host_is_about_the_host() {
    let wanted = || text("v=spf1 a -all");
    let record = Record { name: "mail.ruth.example".to_owned(), ttl: 0, data: wanted() };
    assert_eq!(judge(&ruth(), &record, &[wanted()]), State::Right);
    assert!(is_different(judge(&ruth(), &record, &[text("v=spf1 mx -all")])));
}

#[test]
fn malformed_spf_networks_cover_nothing() {
    for wrong in ["v=spf1 ip4:192.0.2.7/x", "v=spf1 ip4:", "v=spf1 ip6:192.0.2.7/999", "v=spf1 /"] {
        assert!(is_different(judged(text(SPF), &[text(wrong)])), "{wrong}");
    }
    assert_eq!(judged(text(SPF), &[text("v=spf1 ip4:0.0.0.0/0")]), State::Right);
}

#[test]
fn dkim_key_is_compared_without_white_space() {
    let wanted = || text("v=DKIM1; k=rsa; p=AAAA");
    assert_eq!(judged(wanted(), &[text("v = DKIM1 ; p=AA AA")]), State::Right);
    assert_eq!(judged(wanted(), &[text("k=rsa; p=AAAA")]), State::Right);
    assert!(is_different(judged(wanted(), &[text("v=DKIM1; p=BBBB")])));
    assert!(is_different(judged(wanted(), &[text("p=")])));
}

#[test]
fn mail_server_beside_others_is_not_right() {
    let mx = |preference, exchange: &str| Data::Mx { preference, exchange: exchange.to_owned() };
    let wanted = || mx(10, "mail.ruth.example");
    assert_eq!(judged(wanted(), &[mx(50, "MAIL.ruth.example")]), State::Right);
    assert!(is_different(judged(wanted(), &[mx(10, "mx.other.example")])));
    let both = [mx(10, "mail.ruth.example"), mx(20, "mx.other.example")];
    assert!(is_different(judged(wanted(), &both)));
}

#[test]
fn address_of_another_machine_is_different() {
    let a = |address: [u8; 4]| Data::A { address: address.into() };
    assert_eq!(judged(a([192, 0, 2, 7]), &[a([192, 0, 2, 7])]), State::Right);
    assert!(is_different(judged(a([192, 0, 2, 7]), &[a([192, 0, 2, 8])])));
    assert!(is_different(judged(a([192, 0, 2, 7]), &[a([192, 0, 2, 7]), a([192, 0, 2, 8])])));
}

#[test]
fn alias_is_right_if_its_addresses_are() {
    let wanted = || Data::Cname { target: "mail.ruth.example".to_owned() };
    let a = |address: [u8; 4]| Data::A { address: address.into() };
    assert_eq!(judged(wanted(), &[wanted(), a([192, 0, 2, 7])]), State::Right);
    assert_eq!(judged(wanted(), &[a([192, 0, 2, 7])]), State::Right);
    assert!(is_different(judged(wanted(), &[a([192, 0, 2, 8])])));
}

#[test]
fn caa_of_another_authority_is_different() {
    let caa = |value: &str| Data::Caa { tag: "issue".to_owned(), value: value.to_owned() };
    assert_eq!(judged(caa("authority.example"), &[]), State::Missing);
    let with_parameters = [caa("other.example"), caa("Authority.example; account=7")];
    assert_eq!(judged(caa("authority.example"), &with_parameters), State::Right);
    assert!(is_different(judged(caa("authority.example"), &[caa(";")])));
}
