//! Lies about who one is, and coming although one is not wanted.

use freehold_core::domains::{OP_NODE, OP_ROOT};
use freehold_core::identity::op::{Genesis, Op, OpBody, OpSignature, Recovery, Role, SignedOp};
use freehold_core::keys::{PublicKey, SecretKey};

use super::*;

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
    let by = |role, domain, key: &SecretKey| OpSignature { role, key: key.public(), signature: key.sign(domain, &bytes), salt: None };
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
    let body = OpBody::Genesis(Genesis { roots: roots_public, recovery, recovery_kem: card.kem.clone(), node: card });
    let bytes = Op { person: None, index: 0, prev: None, body }.to_canonical();
    IdentityLog::from_ops(vec![signed(bytes, &roots[0], Some(&key))]).unwrap()
}

fn followed_by(log: &IdentityLog, body: OpBody, root: &SecretKey, node: Option<&SecretKey>) -> IdentityLog {
    let mut log = log.clone();
    log.extend(signed(log.next_op(body).to_canonical(), root, node)).unwrap();
    log
}

#[tokio::test]
async fn a_forked_identity_log_as_long_as_the_true_one_gives_no_standing() {
    let (alice, carol, mallory) = (person("alice").await, person("carol").await, person("mallory").await);
    // Carol has two root keys. Mallory has stolen the second and puts a node of her own where the first has spoken.
    let roots = [1, 2].map(|number| SecretKey::from_bytes(&[number; 32]));
    let begun = genesis(&roots, &carol);
    let truth = followed_by(&begun, OpBody::SetDomain(Some("carol.example".to_owned())), &roots[0], None);
    let key = SecretKey::from_bytes(&mallory.identity.libp2p_secret());
    let lie = followed_by(&begun, OpBody::AddNode(mallory.identity.card()), &roots[1], Some(&key));
    assert_eq!((truth.ops().len(), truth.person()), (lie.ops().len(), lie.person()));
    let invite = friends::create_invite(&alice, "", &[]).await.unwrap();
    let from = Introduction { person: truth.person(), node: carol.identity.node_key(), name: "Carol".to_owned(), addresses: Vec::new() };
    friends::welcome(&alice, &from, invite.token).await.unwrap();
    core_identity::learn(&alice, truth.to_bytes()).await.unwrap();

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
    let from = Introduction { person: id(&mallory), node: known, name: "Mallory".to_owned(), addresses: Vec::new() };
    friends::request(&alice, &from, "hello").await.unwrap();
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
