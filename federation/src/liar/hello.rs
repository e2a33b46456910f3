//! Lies about who one is, and coming although one is not wanted.

use freehold_core::domains::{OP_NODE, OP_ROOT};
use freehold_core::identity::op::{
    Genesis, Op, OpBody, OpSignature, Recovery, RetireNode, Role, SignedOp,
};
use freehold_core::identity_log;
use freehold_core::keys::{PublicKey, SecretKey};

use super::*;
use crate::limits::{STRANGERS_BLOB_KIB_BURST, STRANGERS_REQUESTS_BURST};
use crate::peers::Peer;
use crate::refresh::callees;
use crate::standing::{Relation, Standing};
use crate::wire::follow::{Follow, PROTOCOL as FOLLOW};

#[tokio::test]
async fn a_flood_of_hellos_makes_the_node_look_up_few_logs() {
    let scene = Scene::new(false, None).await;
    let mut answered = 0;
    for number in 0..40u8 {
        // Each names another person, whose log this node would have to fetch.
        answered += usize::from(scene.hello(PersonId([number; 32]), [number; 32]).await);
    }
    let asked = scene.asked.load(Ordering::Relaxed);
    assert!(answered < 30 && asked <= 4, "{answered} were answered, {asked} logs asked for");
    scene.end().await;
}

fn signed(bytes: Vec<u8>, root: &SecretKey, node: Option<&SecretKey>) -> SignedOp {
    let by = |role, domain, key: &SecretKey| OpSignature {
        role,
        key: key.public(),
        signature: key.sign(domain, &bytes),
        salt: None,
    };
    let mut signatures = vec![by(Role::Root, OP_ROOT, root)];
    signatures.extend(node.map(|node| by(Role::Node, OP_NODE, node)));
    SignedOp::new(bytes, signatures).unwrap()
}

/// A log that begins with these root keys.
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

fn followed_by(
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
async fn a_forked_identity_log_as_long_as_the_true_one_gives_no_standing() {
    let (alice, carol, mallory) =
        (person("alice").await, person("carol").await, person("mallory").await);
    // Carol has two root keys. Mallory has stolen the second and puts a node of her own where the
    // first has spoken.
    let roots = [1, 2].map(|number| SecretKey::from_bytes(&[number; 32]));
    let begun = genesis(&roots, &carol);
    let truth =
        followed_by(&begun, OpBody::SetDomain(Some("carol.example".to_owned())), &roots[0], None);
    let key = SecretKey::from_bytes(&mallory.identity.libp2p_secret());
    let lie = followed_by(&begun, OpBody::AddNode(mallory.identity.card()), &roots[1], Some(&key));
    assert_eq!((truth.ops().len(), truth.person()), (lie.ops().len(), lie.person()));
    let invite = friends::create_invite(&alice, "", &[]).await.unwrap();
    let from = Introduction {
        person: truth.person(),
        node: carol.identity.node_key(),
        name: "Carol".to_owned(),
        addresses: Vec::new(),
    };
    friends::redeem_invite(&alice, &from, invite.token).await.unwrap();
    identity_log::learn(&alice, truth.to_bytes()).await.unwrap();

    let scene = Scene::between(alice, mallory, Some(lie.person()), Arc::new(lie)).await;
    let honest = entry(&scene.mallory, post("hello")).await;
    let mut stream = scene.open(SYNC).await;
    frame::write(&mut stream, &Sync::Push(vec![honest])).await.unwrap();
    assert_eq!(refused(&mut stream).await, Reason::NotFriends);
    assert_eq!(core_identity::log_of(&scene.alice, &truth.person()).unwrap(), Some(truth));
    scene.end().await;
}

#[tokio::test]
async fn a_blocked_person_is_hung_up_on_whatever_key_they_come_with() {
    let (alice, mallory) = (person("alice").await, person("mallory").await);
    // Alice's node knows Mallory by another key, which it refuses at the door.
    let known = SecretKey::from_bytes(&[7; 32]).public();
    let from = Introduction {
        person: id(&mallory),
        node: known,
        name: "Mallory".to_owned(),
        addresses: Vec::new(),
    };
    friends::receive_request(&alice, &from, "hello").await.unwrap();
    assert!(friends::block(&alice, id(&mallory)).await.unwrap());
    assert_eq!(friends::requests(&alice).unwrap(), []);
    let log = mallory.identity.log().unwrap();
    let scene = Scene::between(alice, mallory, None, log).await;
    tokio::time::timeout(PATIENCE, scene.gone.notified()).await.unwrap();
    assert!(friends::requests(&scene.alice).unwrap().is_empty());
    scene.end().await;
}

#[tokio::test]
async fn a_friend_who_is_blocked_is_hung_up_on_and_cannot_call_again() {
    let scene = Scene::with_a_friend().await;
    friends::block(&scene.alice, id(&scene.mallory)).await.unwrap();
    tokio::time::timeout(PATIENCE, scene.gone.notified()).await.unwrap();
    let key = PeerKey(*scene.alice.identity.node_key().as_bytes());
    scene.shared.network.dial(key, scene.federation.addresses());
    // The handshake may end before the door is shut; what counts is that it is.
    let refused = async {
        while scene.shared.network.open(key, SYNC).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.unwrap();
    friends::unblock(&scene.alice, id(&scene.mallory)).await.unwrap();
    scene.end().await;
}

#[tokio::test]
async fn a_retired_key_has_no_rights_left_although_its_connection_stands() {
    let (alice, carol, thief) =
        (person("alice").await, person("carol").await, person("mallory").await);
    // Carol's first node is in the thief's hands: she adds another and retires that one.
    let root = SecretKey::from_bytes(&[1; 32]);
    let before = genesis(std::slice::from_ref(&root), &thief);
    let key = SecretKey::from_bytes(&carol.identity.libp2p_secret());
    let added = followed_by(&before, OpBody::AddNode(carol.identity.card()), &root, Some(&key));
    let retired =
        RetireNode { node: thief.identity.node_key(), cutoffs: Vec::new(), compromised: true };
    let after = followed_by(&added, OpBody::RetireNode(retired), &root, None);
    let invite = friends::create_invite(&alice, "", &[]).await.unwrap();
    let who = before.person();
    let from = Introduction {
        person: who,
        node: thief.identity.node_key(),
        name: "Carol".to_owned(),
        addresses: Vec::new(),
    };
    friends::redeem_invite(&alice, &from, invite.token).await.unwrap();
    identity_log::learn(&alice, before.to_bytes()).await.unwrap();

    let scene = Scene::between(alice, thief, Some(who), Arc::new(before)).await;
    let stolen = PeerKey(*scene.mallory.identity.node_key().as_bytes());
    let peer =
        scene.federation.shared.connected().into_iter().find(|peer| peer.key == stolen).unwrap();
    let mut standing = peer.standing.subscribe();
    let is_friend = |standing: &Option<Standing>| {
        standing.as_ref().is_some_and(|now| now.relation == Relation::Friend)
    };
    drop(tokio::time::timeout(PATIENCE, standing.wait_for(is_friend)).await.unwrap().unwrap());
    identity_log::learn(&scene.alice, after.to_bytes()).await.unwrap();
    let is_nobody =
        |standing: &Option<Standing>| standing.as_ref().is_some_and(|now| now.person.is_none());
    drop(tokio::time::timeout(PATIENCE, standing.wait_for(is_nobody)).await.unwrap().unwrap());
    // It ends nothing, and it is called no more; the new node is.
    let mut stream = scene.open(FOLLOW).await;
    frame::write(&mut stream, &Follow::Unfollow).await.unwrap();
    assert_eq!(frame::read::<Follow, _>(&mut stream).await.unwrap(), Follow::Reject);
    assert!(friends::is_friend(&scene.alice, &who).unwrap());
    let called: Vec<PeerKey> = callees(&scene.alice).unwrap().wanted.into_keys().collect();
    assert_eq!(called, [PeerKey(*carol.identity.node_key().as_bytes())]);
    scene.end().await;
}

#[tokio::test]
async fn who_comes_with_ever_new_keys_gains_nothing() {
    let scene = Scene::with_a_friend().await;
    let shared = &scene.federation.shared;
    let ask = |number: u8| {
        let stranger = Peer::new(PeerKey([number; 32]), shared);
        (0..100).filter(|_| stranger.may_ask(shared, 1)).count()
    };
    let asked: usize = (0..=255).map(ask).sum();
    assert!(asked <= STRANGERS_REQUESTS_BURST as usize, "{asked}");
    let taken = (0..=255)
        .filter(|number| Peer::new(PeerKey([*number; 32]), shared).may_take(shared, 1 << 20))
        .count();
    assert!(taken <= STRANGERS_BLOB_KIB_BURST as usize / 1024, "{taken}");
    // Friends are known by their keys and do not wait for strangers.
    assert!(
        Peer::new(PeerKey(*scene.mallory.identity.node_key().as_bytes()), shared)
            .may_ask(shared, 1)
    );
    scene.end().await;
}
