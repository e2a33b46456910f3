//! Publishing a post and the profile.

use super::announce_profile;
use super::profile as publish_profile;
use crate::clock::{Clock, Timestamp};
use crate::fs::{MemoryFs, PowerCut};
use crate::mnemonic::Mnemonic;
use crate::node::Node;
use crate::posts::{self, Draft, PostError};
use crate::profile::{self, Profile, ProfileError};
use crate::random::Random;
use crate::testing::{START, TestNode};
use crate::{feed, identity, outbox, timeline};

#[tokio::test]
async fn changed_profile_writes_one_entry() {
    let alice = TestNode::new("alice").await;
    let person = alice.identity.person().unwrap();
    assert_eq!(feed::profile_of(&alice, &person).unwrap(), None);
    announce_profile(&alice).await.unwrap();
    let head = outbox::durable_head(&alice).unwrap();
    announce_profile(&alice).await.unwrap();
    publish_profile(&alice, profile::get(&alice).unwrap().unwrap()).await.unwrap();
    assert_eq!(outbox::durable_head(&alice).unwrap(), head);
    publish_profile(
        &alice,
        Profile { name: "Alice Ant".into(), ..profile::get(&alice).unwrap().unwrap() },
    )
    .await
    .unwrap();
    assert_eq!(outbox::durable_head(&alice).unwrap(), head + 1);
    assert_eq!(feed::profile_of(&alice, &person).unwrap().unwrap().name, "Alice Ant");

    let nobody = TestNode::without_owner("nobody").await;
    announce_profile(&nobody).await.unwrap();
    assert_eq!(outbox::durable_head(&nobody).unwrap(), 0);
}

#[tokio::test]
async fn profile_is_trimmed_checked_and_stored() {
    let alice = TestNode::new("alice").await;
    let mut profile = profile::get(&alice).unwrap().unwrap();
    profile.name = "  Alice Ant ".into();
    profile.domain = "Alice.Example.".into();
    publish_profile(&alice, profile.clone()).await.unwrap();
    let stored = profile::get(&alice).unwrap().unwrap();
    assert_eq!(
        (stored.name.as_str(), profile::address(&stored).as_str()),
        ("Alice Ant", "alice@alice.example")
    );
    publish_profile(&alice, Profile { name: "Al\u{202e}ice\nAnt\u{0}".into(), ..stored.clone() })
        .await
        .unwrap();
    assert_eq!(profile::get(&alice).unwrap().unwrap().name, "Alice Ant");
    publish_profile(&alice, Profile { name: "ш".repeat(80), ..stored.clone() }).await.unwrap();
    let refused = [
        (Profile { name: "ш".repeat(81), ..profile.clone() }, ProfileError::LongName(81)),
        (Profile { name: "\u{202e}\u{200b}".into(), ..profile.clone() }, ProfileError::NoName),
        (Profile { name: " ".into(), ..profile.clone() }, ProfileError::NoName),
        (Profile { login: "a@b".into(), ..profile.clone() }, ProfileError::BadLogin),
        (Profile { domain: "a..b".into(), ..profile.clone() }, ProfileError::BadDomain),
        (Profile { avatar_colour: 8, ..profile.clone() }, ProfileError::NoSuchAvatarColour(8)),
    ];
    for (bad, why) in refused {
        assert_eq!(publish_profile(&alice, bad).await, Err(why));
    }
}

fn node_on(fs: MemoryFs, seed: u64) -> Node {
    Node::in_memory_on(fs, Clock::manual(START), Random::seeded(seed)).unwrap()
}

#[tokio::test]
async fn power_cut_never_leaves_draft_of_new_post() {
    let fs = MemoryFs::new();
    let node = node_on(fs.clone(), 1);
    identity::create_with(&node, Mnemonic::from_entropy([1; 32])).await.unwrap();
    fs.record();
    // Long enough that the text is a blob of its own.
    let text = "We walked. ".repeat(300);
    super::post(&node, Draft { title: "A walk".into(), text, ..Draft::default() }).await.unwrap();
    // One more commit, so that there are states with the post, too.
    super::homes(&node, vec!["https://a.example".into()], vec![], vec![]).await.unwrap();
    let (mut states, mut published) = (0, 0);
    for how in [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset] {
        for call in 0.. {
            let Some(left) = fs.power_cut_before(call, how, 1) else { break };
            let node = node_on(left, 2);
            assert_eq!(posts::drafts(&node).unwrap(), [], "{how:?} before call {call}");
            states += 1;
            published += posts::count(&node).unwrap();
        }
    }
    assert!(published > 0 && published < states, "{published} of {states}");
}

#[tokio::test]
async fn refused_new_post_leaves_no_draft() {
    let alice = TestNode::new("alice").await;
    let draft = |slug: &str| Draft {
        text: "We walked.".into(),
        slug: Some(slug.into()),
        ..Draft::default()
    };
    super::post(&alice, draft("walk")).await.unwrap();
    assert_eq!(super::post(&alice, draft("walk")).await, Err(PostError::SlugTaken));
    let nobody = TestNode::without_owner("nobody").await;
    assert_eq!(super::post(&nobody, draft("walk")).await, Err(PostError::Unclaimed));
    for node in [&alice, &nobody] {
        assert_eq!(posts::drafts(node).unwrap(), []);
    }
}

#[tokio::test]
async fn unset_clock_does_not_date_an_own_post() {
    let fs = MemoryFs::new();
    let node = node_on(fs.clone(), 1);
    identity::create_with(&node, Mnemonic::from_entropy([1; 32])).await.unwrap();
    let draft = |text: &str| Draft { text: text.into(), ..Draft::default() };
    super::post(&node, draft("before")).await.unwrap();
    node.clock.set(Timestamp(0));
    let post = super::post(&node, draft("after")).await.unwrap();
    let items = timeline::page(&node, None, 10).unwrap();
    let item = items.iter().find(|item| item.text == "after").unwrap();
    assert_eq!(Some(item.shown), post.published);
    assert!(item.shown >= START);
}
