//! Entries of another node of the same person that change a post published here.

use super::*;
use crate::apply;
use crate::erasure;
use crate::feed;
use crate::feed::{Body, EntryId, Lane, MARKDOWN, PostBody};
use crate::identity::op::{OpBody, RetireNode};
use crate::identity::transfer::{self, Signed};
use crate::identity::{self, PersonId};
use crate::identity_log;
use crate::publish;
use crate::store::Tx;
use crate::testing::mnemonic_of;

/// Adds a second node of Alice's; her first node knows it.
async fn add_second_node(first: &TestNode) -> TestNode {
    let second = TestNode::without_owner("alice's tablet").await;
    let request = identity_log::request(
        &first.identity.log().unwrap(),
        OpBody::AddNode(second.identity.card()),
    )
    .unwrap();
    let Ok(Signed::Claim(claim)) = transfer::sign(&request, &mnemonic_of("alice")) else {
        panic!("not signed")
    };
    identity::claim(&second, &claim).await.unwrap();
    identity_log::learn(first, second.identity.log().unwrap().to_bytes()).await.unwrap();
    second
}

async fn retire(at: &Node, node: &Node) {
    let body = OpBody::RetireNode(RetireNode {
        node: node.identity.node_key(),
        cutoffs: Vec::new(),
        compromised: true,
    });
    let request = identity_log::request(&at.identity.log().unwrap(), body).unwrap();
    let Ok(Signed::Request(signed)) = transfer::sign(&request, &mnemonic_of("alice")) else {
        panic!("not signed")
    };
    identity_log::upload(at, &signed).await.unwrap();
    apply::run_due(at).await.unwrap();
}

async fn write_entry(node: &Node, body: Body) -> EntryId {
    let inside = node.clone();
    node.clock.advance(1);
    node.store
        .commit(move |tx: &mut Tx<'_>| feed::append_only(tx, &inside, Lane::PUBLIC, &body))
        .await
        .unwrap()
}

/// Sends all entries of a person from one node to another.
async fn send_entries(from: &Node, to: &Node, of: PersonId) {
    let entries = feed::heads(from, &of)
        .unwrap()
        .into_iter()
        .flat_map(|head| feed::read(from, &head.log, 0, 256, usize::MAX).unwrap());
    apply::receive(to, from.identity.person().unwrap(), entries.collect()).await.unwrap();
}

fn person_id(node: &Node) -> PersonId {
    node.identity.person().unwrap()
}

fn version(title: &str, slug: &str, text: &str) -> PostBody {
    PostBody {
        media_type: MARKDOWN.to_owned(),
        title: Some(title.to_owned()),
        slug: slug.to_owned(),
        text: text.to_owned(),
        ..PostBody::default()
    }
}

#[tokio::test]
async fn tombstone_from_second_node_deletes_post_here() {
    let first = TestNode::new("alice").await;
    let second = add_second_node(&first).await;
    let long = "words that are deleted ".repeat(400);
    let picture = photo(&first).await;
    let saved = save_draft(&first, Draft { photos: vec![picture.id], ..draft("The hill", &long) })
        .await
        .unwrap();
    let post = publish::saved_post(&first, saved.id).await.unwrap();
    let text = crate::store::BlobId(*blake3::hash(long.trim_end().as_bytes()).as_bytes());
    assert!(first.blobs.contains(&text).unwrap());

    send_entries(&first, &second, person_id(&first)).await;
    write_entry(&second, Body::Tombstone { of: post.entry.unwrap() }).await;
    send_entries(&second, &first, person_id(&first)).await;
    assert_eq!(by_id(&first, &Visitor::Owner, post.id).unwrap(), None);
    assert_eq!(post_at(&first, "the-hill"), None);
    assert_eq!(
        (published(&first, &Visitor::Stranger, None, 10).unwrap(), count(&first).unwrap()),
        (Vec::new(), 0)
    );
    assert_eq!(timeline::page(&first, None, 10).unwrap(), []);
    erasure::unlink(&first).unwrap();
    assert!(!first.blobs.contains(&text).unwrap(), "the text is still on the disk");
    assert_eq!(
        publish_post(&first, "The hill", "again").await.slug,
        "the-hill",
        "the address is still taken"
    );
    // The photo still belongs to the owner and can be deleted now.
    photos::delete(&first, picture.id).await.unwrap();
    // The same entries change nothing when they are received again.
    send_entries(&second, &first, person_id(&first)).await;
    assert_eq!(published(&first, &Visitor::Stranger, None, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn edit_on_second_node_changes_this_site() {
    let first = TestNode::new("alice").await;
    let second = add_second_node(&first).await;
    // Both show the same picture; an entry that names the picture means the lower id.
    let mut both = [photo(&first).await, photo(&first).await];
    both.sort_by_key(|photo| photo.id.0);
    let [shown, removed] = both;
    let saved = save_draft(
        &first,
        Draft { photos: vec![shown.id, removed.id], ..draft("The hill", "We walked.") },
    )
    .await
    .unwrap();
    let post = publish::saved_post(&first, saved.id).await.unwrap();
    publish_post(&first, "Taken", "An address that is taken.").await;
    let of = post.entry.unwrap();
    send_entries(&first, &second, person_id(&first)).await;

    let long = "We ran, and ran. ".repeat(300);
    let elsewhere = feed::PhotoRef {
        blob: crate::store::BlobId([7; 32]),
        small: crate::store::BlobId([8; 32]),
        ..photos::entry_photo(&shown)
    };
    let photos = vec![photos::entry_photo(&shown), elsewhere];
    write_entry(
        &second,
        Body::Edit {
            of,
            post: PostBody { photos, ..version("The mountain", "the-mountain", &long) },
        },
    )
    .await;
    send_entries(&second, &first, person_id(&first)).await;
    let now = post_at(&first, "the-mountain").unwrap();
    assert_eq!(
        (now.id, now.title.as_str(), now.text.as_str()),
        (post.id, "The mountain", long.as_str())
    );
    assert_eq!(
        (now.photos, now.edited.is_some(), now.published),
        (vec![shown.id], true, post.published)
    );
    assert_eq!(
        by_slug(&first, &Visitor::Stranger, "the-hill").unwrap(),
        Some(Found::Moved("the-mountain".into()))
    );
    assert_eq!(timeline::get(&first, &of).unwrap().unwrap().title, "The mountain");

    // A slug of another post is not taken from it.
    write_entry(&second, Body::Edit { of, post: version("Mine", "taken", "short") }).await;
    send_entries(&second, &first, person_id(&first)).await;
    assert_eq!(post_at(&first, "the-mountain").unwrap().text, "short");
    assert_eq!(post_at(&first, "taken").unwrap().title, "Taken");

    publish::edit(&first, post.id, draft("The hill", "We rested.")).await.unwrap();
    send_entries(&second, &first, person_id(&first)).await;
    assert_eq!(post_at(&first, "the-mountain").unwrap().text, "We rested.");
    assert_eq!(timeline::get(&first, &of).unwrap().unwrap().text, "We rested.");
    publish::delete(&first, post.id).await.unwrap();
    send_entries(&second, &first, person_id(&first)).await;
    assert_eq!(post_at(&first, "the-mountain"), None);
}

#[tokio::test]
async fn entry_of_friend_never_changes_the_site() {
    let (alice, bob) = TestNode::pair().await;
    let post = publish_post(&alice, "The hill", "We walked.").await;
    let of = post.entry.unwrap();
    write_entry(&bob, Body::Edit { of, post: version("Bob's", "bobs", "Bob was here.") }).await;
    write_entry(&bob, Body::Tombstone { of }).await;
    send_entries(&bob, &alice, person_id(&bob)).await;
    assert_eq!(post_at(&alice, "the-hill"), Some(post));
}

#[tokio::test]
async fn retirement_restores_posts_hidden_by_a_stolen_node() {
    let first = TestNode::new("alice").await;
    let second = add_second_node(&first).await;
    let picture = photo(&first).await;
    let saved =
        save_draft(&first, Draft { photos: vec![picture.id], ..draft("The hill", "We walked.") })
            .await
            .unwrap();
    let post = publish::saved_post(&first, saved.id).await.unwrap();
    send_entries(&first, &second, person_id(&first)).await;
    for number in 0..50 {
        write_entry(&second, Body::Tombstone { of: EntryId([number; 32]) }).await;
    }
    write_entry(&second, Body::Tombstone { of: post.entry.unwrap() }).await;
    send_entries(&second, &first, person_id(&first)).await;
    assert_eq!(
        (post_at(&first, "the-hill"), published(&first, &Visitor::Stranger, None, 10).unwrap()),
        (None, Vec::new())
    );
    assert!(by_id(&first, &Visitor::Owner, post.id).unwrap().is_some(), "the owner still sees it");

    retire(&first, &second).await;
    assert_eq!(post_at(&first, "the-hill"), Some(post.clone()));
    assert_eq!(timeline::page(&first, None, 10).unwrap().len(), 1);
    // The post can be edited as before.
    publish::edit(&first, post.id, draft("The hill", "We ran.")).await.unwrap();
    assert_eq!(post_at(&first, "the-hill").unwrap().text, "We ran.");
}

#[tokio::test]
async fn post_deleted_by_stolen_node_returns_from_a_friend() {
    let first = TestNode::new("alice").await;
    let second = add_second_node(&first).await;
    let picture = photo(&first).await;
    let saved =
        save_draft(&first, Draft { photos: vec![picture.id], ..draft("The hill", "We walked.") })
            .await
            .unwrap();
    let post = publish::saved_post(&first, saved.id).await.unwrap();
    let of = post.entry.unwrap();
    let stored = feed::entry(&first, &of).unwrap().unwrap();
    send_entries(&first, &second, person_id(&first)).await;
    // A post that the thief wrote is never published here.
    let stolen = write_entry(&second, Body::Post(version("Mine", "mine", "buy"))).await;
    write_entry(&second, Body::Tombstone { of }).await;
    send_entries(&second, &first, person_id(&first)).await;
    assert_eq!((post_at(&first, "the-hill"), post_at(&first, "mine")), (None, None));
    publish_post(&first, "The hill", "Another one, at the address that was free.").await;

    retire(&first, &second).await;
    assert_eq!(feed::missing(&first, &person_id(&first), 10).unwrap(), [of]);
    apply::receive(&first, person_id(&first), vec![stored.clone()]).await.unwrap();
    let again = post_at(&first, "the-hill-2").unwrap();
    assert_eq!(
        (again.title.as_str(), again.text.as_str(), &again.photos),
        ("The hill", "We walked.", &post.photos)
    );
    assert_eq!((again.published, again.edited, again.entry), (post.published, None, Some(of)));
    let both = published(&first, &Visitor::Stranger, None, 10).unwrap();
    assert_eq!((both.len(), timeline::page(&first, None, 10).unwrap().len()), (2, 2));
    assert!(timeline::get(&first, &stolen).unwrap().is_none());
    // The post can be edited as before, and deleted for good.
    publish::edit(&first, again.id, draft("The hill", "We ran.")).await.unwrap();
    assert_eq!(post_at(&first, "the-hill-2").unwrap().text, "We ran.");
    publish::delete(&first, again.id).await.unwrap();
    apply::receive(&first, person_id(&first), vec![stored]).await.unwrap();
    assert_eq!(published(&first, &Visitor::Stranger, None, 10).unwrap().len(), 1);
    assert_eq!(feed::check(&first).unwrap().wrong, Vec::<String>::new());
}
