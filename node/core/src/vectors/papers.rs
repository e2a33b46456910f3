//! What is carried by hand: the invite, and the papers that go between a node and the words.

use data_encoding::BASE64URL_NOPAD;

use super::*;
use crate::clock::Timestamp;
use crate::friends::Invite;
use crate::identity::op::{Genesis, Op, OpBody, Recovery, Role, SignedOp, sign};
use crate::identity::{
    IdentityLog, NodeCard, PersonId, Request, SignedRequest, armour_payload, paper,
};
use crate::keys::{KemSecret, SecretKey};
use crate::words::Words;

#[test]
fn an_invite_has_these_letters() {
    let invite = Invite {
        person: PersonId([1; 32]),
        node: SecretKey::from_bytes(&[100; 32]).public(),
        name: "Zoë".to_owned(),
        addresses: vec![
            "/dns/zoe.example/tcp/4001".to_owned(),
            "/ip4/192.0.2.1/udp/4001/quic-v1".to_owned(),
        ],
        token: [7; 16],
        expires: Timestamp(1_777_636_800_000),
    };
    let url = invite.to_url("https://zoe.example/");
    assert_eq!(url.parse::<Invite>().as_ref(), Ok(&invite));
    let code = BASE64URL_NOPAD.decode(url.split_once('#').unwrap().1.as_bytes()).unwrap();
    let vectors = json!({
        "url": url,
        "version": code[0],
        "tree": tree_of(&code[1..]),
        "person": hex(&invite.person.0),
        "node": hex(invite.node.as_bytes()),
        "token": hex(&invite.token),
        "expires": invite.expires.0.to_string(),
        "addresses": invite.addresses,
        "name": invite.name,
    });
    hold("invite", &vectors);
}

fn begun(words: &Words) -> IdentityLog {
    let (keys, node) = (words.keys(), SecretKey::from_bytes(&[100; 32]));
    let card = NodeCard { sign: node.public(), kem: KemSecret::from_bytes([100; 32]).public() };
    let recovery_kem = keys.recovery.public();
    let body = OpBody::Genesis(Genesis {
        roots: vec![keys.root.public()],
        recovery: Recovery::default(),
        recovery_kem,
        node: card,
    });
    let bytes = Op { person: None, index: 0, prev: None, body }.to_canonical();
    let signatures = vec![sign(Role::Root, &keys.root, &bytes), sign(Role::Node, &node, &bytes)];
    IdentityLog::from_ops(vec![SignedOp::new(bytes, signatures).unwrap()]).unwrap()
}

fn described(what: &str, title: &'static str, text: &str) -> Json {
    let payload = armour_payload(title, text);
    json!({ "what": what, "title": title, "text": text, "payload": hex(&payload), "tree": tree_of(&payload) })
}

#[test]
fn the_papers_have_these_letters() {
    let (old, new) = (Words::from_entropy([1; 32]), Words::from_entropy([2; 32]));
    let log = begun(&old);
    let request = Request::new(&log, OpBody::SetDomain(Some("alice.example".to_owned())));
    assert_eq!(request.to_string().parse::<Request>().as_ref(), Ok(&request));
    let Ok(paper::Signed::Done(signed)) = paper::sign(&request, &old) else { panic!() };
    let changed = paper::change_words(&log, &old, &new).unwrap();
    for paper in [&signed, &changed] {
        assert_eq!(paper.to_string().parse::<SignedRequest>().as_ref(), Ok(paper));
    }
    let papers = [
        described("a request", "freehold request 1", &request.to_string()),
        described("a signed request", "freehold signed 1", &signed.to_string()),
        described("new words", "freehold signed 1", &changed.to_string()),
        described("a log", "freehold log 1", &log.to_string()),
    ];
    hold("papers", &json!({ "person": hex(&log.person().0), "papers": papers }));
}
