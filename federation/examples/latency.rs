//! How long a post takes from one node into another's timeline, over loopback: the median of 200 and what lies around it.
//!
//! `cargo run --release -p freehold-federation --example latency -- [tcp|quic]`

use std::time::{Duration, Instant};

use freehold_core::clock::Clock;
use freehold_core::feed::{self, Body, Lane, MARKDOWN, PostBody};
use freehold_core::node::Node;
use freehold_core::profile::{self, Profile};
use freehold_core::random::Random;
use freehold_core::store::Tx;
use freehold_core::{friends, identity, timeline};
use freehold_federation::{Federation, FederationConfig};

const POSTS: usize = 200;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let over = std::env::args().nth(1).unwrap_or_else(|| "tcp".to_owned());
    let config = FederationConfig {
        listen: vec![([127, 0, 0, 1], 0).into()],
        tcp: over == "tcp",
        quic: over == "quic",
        ..FederationConfig::default()
    };
    let (alice, bob) = (person("alice").await?, person("bob").await?);
    let (at_alice, at_bob) = (Federation::start(alice.clone(), config.clone()).await?, Federation::start(bob.clone(), config).await?);
    let invite = friends::create_invite(&alice, "bob", &at_alice.addresses()).await?;
    friends::accept_invite(&bob, &invite).await?;
    until(&bob, || Ok(friends::is_friend(&bob, &invite.person)?)).await?;
    // The first post also waits for the streams to open.
    let mut taken = Vec::new();
    for number in 0..=POSTS {
        let node = alice.clone();
        let post =
            PostBody { media_type: MARKDOWN.to_owned(), slug: number.to_string(), text: format!("Post {number}"), ..PostBody::default() };
        let before = Instant::now();
        let entry = alice.store.commit(move |tx: &mut Tx<'_>| feed::append(tx, &node, Lane::PUBLIC, &Body::Post(post))).await?;
        until(&bob, || Ok(timeline::get(&bob, &entry)?.is_some())).await?;
        taken.push(before.elapsed());
        // The pace of a busy person, within what one node may push to another.
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let mut taken = taken.split_off(1);
    taken.sort_unstable();
    let at = |percent: usize| taken.get(taken.len() * percent / 100).copied().unwrap_or_default();
    let lines = format!("{POSTS} posts over {over}, loopback: median {:?}, 90% {:?}, 99% {:?}\n", at(50), at(90), at(99));
    tokio::io::AsyncWriteExt::write_all(&mut tokio::io::stdout(), lines.as_bytes()).await?;
    at_alice.shutdown().await;
    at_bob.shutdown().await;
    Ok(())
}

async fn person(name: &str) -> Result<Node, Failure> {
    let node = Node::in_memory(Clock::system(), Random::from_os()?)?;
    identity::create(&node).await?;
    let profile = Profile {
        name: name.to_owned(),
        login: name.to_owned(),
        domain: format!("{name}.example"),
        strapline: String::new(),
        about: String::new(),
        paint: 0,
    };
    profile::set(&node, profile).await?;
    Ok(node)
}

async fn until(node: &Node, is_so: impl Fn() -> Result<bool, Failure>) -> Result<(), Failure> {
    let mut events = node.events.subscribe();
    while !is_so()? {
        // Having missed some is as good as having heard one.
        let _ = events.recv().await;
    }
    Ok(())
}
