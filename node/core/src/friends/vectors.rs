//! The test vector of the invite, a format that cannot change.

use data_encoding::BASE64URL_NOPAD;
use freehold_proto::testing::vectors::{check_file, hex, tree_of};
use serde_json::json;

use super::Invite;
use crate::clock::Timestamp;
use crate::identity::PersonId;
use crate::keys::SecretKey;

#[test]
fn invite_matches_its_vector() {
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
    check_file(env!("CARGO_MANIFEST_DIR"), "invite", &vectors);
}
