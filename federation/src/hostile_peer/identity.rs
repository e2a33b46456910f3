//! False claims of identity, blocked persons, and retired keys.

use freehold_core::domains::{OP_NODE, OP_ROOT};
use freehold_core::identity::op::{
    Genesis, Op, OpBody, OpSignature, Recovery, RetireNode, Role, SignedOp,
};
use freehold_core::identity_log;
use freehold_core::keys::{PublicKey, SecretKey};

use super::*;
use crate::limits::{STRANGERS_BLOB_KIB_BURST, STRANGERS_REQUESTS_BURST};
use crate::peer_identity::{PeerIdentity, Relation};
use crate::peers::Peer;
use crate::refresh::friend_nodes;
use crate::wire::follow::{Follow, PROTOCOL as FOLLOW};

#[tokio::test]
async fn flood_of_hellos_causes_few_identity_look_ups() {
    let fixture = Fixture::new(false, None).await;
    let mut answered = 0;
    for number in 0..40u8 {
        // Each claims another person, whose log the honest node would fetch.
        answered += usize::from(fixture.send_hello(PersonId([number; 32]), [number; 32]).await);
    }
    let fetched = fixture.log_requests.load(Ordering::Relaxed);
    assert!(answered < 30 && fetched <= 4, "{answered} hellos answered, {fetched} logs fetched");
    fixture.shutdown().await;
}

fn signed(bytes: Vec<u8>, root: &SecretKey, node: Option<&SecretKey>) -> SignedOp {
    let signature = |role, domain, key: &SecretKey| OpSignature {
        role,
        key: key.public(),
        signature: key.sign(domain, &bytes),
        salt: None,
    };
    let mut signatures = vec![signature(Role::Root, OP_ROOT, root)];
    signatures.extend(node.map(|node| signature(Role::Node, OP_NODE, node)));
    SignedOp::new(bytes, signatures).unwrap()
}

/// A log whose genesis has these root keys.
fn genesis(roots: &[SecretKey], node: &Node) -> IdentityLog {
    let key = SecretKey::from_bytes(&node.identity.libp2p_secret());
    let card = node.identity.card();
    let recovery = Recovery { needed: 0, guardians: Vec::new(), delay_secs: 0 };
    let roots_public: Vec<PublicKey> = roots.iter().map(SecretKey::public).collect();
    let body = OpBody::Genesis(Genesis {
        roots: roots_public,
        recovery,
        recovery_kem: card.kem.clone(),
        node: card,
    });
    let bytes = Op { person: None, index: 0, prev: None, body }.to_canonical();
    IdentityLog::from_ops(vec![signed(bytes, &roots[0], Some(&key))]).unwrap()
}

/// The log with one more operation.
fn extended(
    log: &IdentityLog,
    body: OpBody,
    root: &SecretKey,
    node: Option<&SecretKey>,
) -> IdentityLog {
    let mut log = log.clone();
    log.extend(signed(log.next_op(body).to_canonical(), root, node)).unwrap();
    log
}

#[tokio::test]
async fn forked_identity_log_of_equal_length_is_not_accepted() {
    let (alice, carol, mallory) =
        (test_node("alice").await, test_node("carol").await, test_node("mallory").await);
    // Carol has two root keys. Mallory has stolen the second and adds a node of her own, while the
    // first key has signed another operation at that place.
    let roots = [1, 2].map(|number| SecretKey::from_bytes(&[number; 32]));
    let common = genesis(&roots, &carol);
    let valid =
        extended(&common, OpBody::SetDomain(Some("carol.example".to_owned())), &roots[0], None);
    let key = SecretKey::from_bytes(&mallory.identity.libp2p_secret());
    let forged = extended(&common, OpBody::AddNode(mallory.identity.card()), &roots[1], Some(&key));
    assert_eq!((valid.ops().len(), valid.person()), (forged.ops().len(), forged.person()));
    let invite = friends::create_invite(&alice, "", &[]).await.unwrap();
    let from = Introduction {
        person: valid.person(),
        node: carol.identity.node_key(),
        name: "Carol".to_owned(),
        addresses: Vec::new(),
    };
    friends::redeem_invite(&alice, &from, invite.token).await.unwrap();
    identity_log::learn(&alice, valid.to_bytes()).await.unwrap();

    let fixture = Fixture::connect(alice, mallory, Some(forged.person()), Arc::new(forged)).await;
    let honest = append_post(&fixture.mallory, post("hello")).await;
    let mut stream = fixture.open(SYNC).await;
    frame::write(&mut stream, &Sync::Push(vec![honest])).await.unwrap();
    assert_eq!(bye_reason(&mut stream).await, Reason::NotFriends);
    assert_eq!(core_identity::log_of(&fixture.alice, &valid.person()).unwrap(), Some(valid));
    fixture.shutdown().await;
}

#[tokio::test]
async fn blocked_person_is_disconnected_with_any_key() {
    let (alice, mallory) = (test_node("alice").await, test_node("mallory").await);
    // Alice's node knows another key of Mallory's, which is on the block list.
    let known = SecretKey::from_bytes(&[7; 32]).public();
    let from = Introduction {
        person: person_id(&mallory),
        node: known,
        name: "Mallory".to_owned(),
        addresses: Vec::new(),
    };
    friends::receive_request(&alice, &from, "hello").await.unwrap();
    assert!(friends::block(&alice, person_id(&mallory)).await.unwrap());
    assert_eq!(friends::requests(&alice).unwrap(), []);
    let log = mallory.identity.log().unwrap();
    let fixture = Fixture::connect(alice, mallory, None, log).await;
    tokio::time::timeout(TIMEOUT, fixture.disconnected.notified()).await.unwrap();
    assert!(friends::requests(&fixture.alice).unwrap().is_empty());
    fixture.shutdown().await;
}

#[tokio::test]
async fn blocked_friend_is_disconnected_and_cannot_reconnect() {
    let fixture = Fixture::with_friend().await;
    friends::block(&fixture.alice, person_id(&fixture.mallory)).await.unwrap();
    tokio::time::timeout(TIMEOUT, fixture.disconnected.notified()).await.unwrap();
    let key = PeerKey(*fixture.alice.identity.node_key().as_bytes());
    fixture.state.network.dial(key, fixture.federation.addresses());
    // The handshake may succeed before the block list is applied.
    let refused = async {
        while fixture.state.network.open(key, SYNC).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, refused).await.unwrap();
    friends::unblock(&fixture.alice, person_id(&fixture.mallory)).await.unwrap();
    fixture.shutdown().await;
}

#[tokio::test]
async fn retired_key_loses_its_rights_on_an_open_connection() {
    let (alice, carol, thief) =
        (test_node("alice").await, test_node("carol").await, test_node("mallory").await);
    // A thief has Carol's first node: she adds another node and retires that one.
    let root = SecretKey::from_bytes(&[1; 32]);
    let before = genesis(std::slice::from_ref(&root), &thief);
    let key = SecretKey::from_bytes(&carol.identity.libp2p_secret());
    let added = extended(&before, OpBody::AddNode(carol.identity.card()), &root, Some(&key));
    let retired =
        RetireNode { node: thief.identity.node_key(), cutoffs: Vec::new(), compromised: true };
    let after = extended(&added, OpBody::RetireNode(retired), &root, None);
    let invite = friends::create_invite(&alice, "", &[]).await.unwrap();
    let carol_id = before.person();
    let from = Introduction {
        person: carol_id,
        node: thief.identity.node_key(),
        name: "Carol".to_owned(),
        addresses: Vec::new(),
    };
    friends::redeem_invite(&alice, &from, invite.token).await.unwrap();
    identity_log::learn(&alice, before.to_bytes()).await.unwrap();

    let fixture = Fixture::connect(alice, thief, Some(carol_id), Arc::new(before)).await;
    let stolen = PeerKey(*fixture.mallory.identity.node_key().as_bytes());
    let peer = fixture
        .federation
        .state
        .peers
        .connected()
        .into_iter()
        .find(|peer| peer.key == stolen)
        .unwrap();
    let mut identity = peer.identity.subscribe();
    let is_friend = |identity: &Option<PeerIdentity>| {
        identity.as_ref().is_some_and(|identity| identity.relation == Relation::Friend)
    };
    drop(tokio::time::timeout(TIMEOUT, identity.wait_for(is_friend)).await.unwrap().unwrap());
    identity_log::learn(&fixture.alice, after.to_bytes()).await.unwrap();
    let is_unknown = |identity: &Option<PeerIdentity>| {
        identity.as_ref().is_some_and(|identity| identity.person.is_none())
    };
    drop(tokio::time::timeout(TIMEOUT, identity.wait_for(is_unknown)).await.unwrap().unwrap());
    // The retired key cannot end the friendship, and only the new node is dialed.
    let mut stream = fixture.open(FOLLOW).await;
    frame::write(&mut stream, &Follow::Unfollow).await.unwrap();
    assert_eq!(frame::read::<Follow, _>(&mut stream).await.unwrap(), Follow::Reject);
    assert!(friends::is_friend(&fixture.alice, &carol_id).unwrap());
    let targets: Vec<PeerKey> = friend_nodes(&fixture.alice).unwrap().targets.into_keys().collect();
    assert_eq!(targets, [PeerKey(*carol.identity.node_key().as_bytes())]);
    fixture.shutdown().await;
}

#[tokio::test]
async fn many_keys_share_the_strangers_rates() {
    let fixture = Fixture::with_friend().await;
    let state = &fixture.federation.state;
    let peer = |key: [u8; 32]| {
        Peer::new(PeerKey(key), state.run.stop.child_token(), state.node.clock.now())
    };
    let requests_of = |number: u8| {
        let stranger = peer([number; 32]);
        (0..100).filter(|_| state.may_request(&stranger, 1)).count()
    };
    let requests: usize = (0..=255).map(requests_of).sum();
    assert!(requests <= STRANGERS_REQUESTS_BURST as usize, "{requests}");
    let blobs =
        (0..=255).filter(|number| state.may_take_blob(&peer([*number; 32]), 1 << 20)).count();
    assert!(blobs <= STRANGERS_BLOB_KIB_BURST as usize / 1024, "{blobs}");
    // A friend's key is expected and does not share the strangers' rate.
    assert!(state.may_request(&peer(*fixture.mallory.identity.node_key().as_bytes()), 1));
    fixture.shutdown().await;
}
