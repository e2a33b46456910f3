//! The transfer texts, carried by hand between a node and the computer that has the mnemonic.

use super::*;
use crate::identity::op::{Genesis, Op, OpBody, Recovery, Role, SignedOp, sign};
use crate::identity::{
    IdentityLog, NodeCard, SignatureRequest, SignedRequest, armour_payload, transfer,
};
use crate::keys::{KemSecret, SecretKey};
use crate::mnemonic::Mnemonic;

fn log_of(mnemonic: &Mnemonic) -> IdentityLog {
    let (keys, node) = (mnemonic.keys(), SecretKey::from_bytes(&[100; 32]));
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
    json!({
        "what": what,
        "title": title,
        "text": text,
        "payload": hex(&payload),
        "tree": tree_of(&payload),
    })
}

#[test]
fn transfer_text_vectors_match() {
    let (old, new) = (Mnemonic::from_entropy([1; 32]), Mnemonic::from_entropy([2; 32]));
    let log = log_of(&old);
    let request = SignatureRequest::new(&log, OpBody::SetDomain(Some("alice.example".to_owned())));
    assert_eq!(request.to_string().parse::<SignatureRequest>().as_ref(), Ok(&request));
    let Ok(transfer::Signed::Request(signed)) = transfer::sign(&request, &old) else { panic!() };
    let changed = transfer::replace_mnemonic(&log, &old, &new).unwrap();
    for text in [&signed, &changed] {
        assert_eq!(text.to_string().parse::<SignedRequest>().as_ref(), Ok(text));
    }
    let texts = [
        described("a request", "freehold request 1", &request.to_string()),
        described("a signed request", "freehold signed 1", &signed.to_string()),
        described("new words", "freehold signed 1", &changed.to_string()),
        described("a log", "freehold log 1", &log.to_string()),
    ];
    check_file("papers", &json!({ "person": hex(&log.person().0), "papers": texts }));
}
