//! What another node of the same person says of a post that was published here.

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

/// Another node of Alice's, known to her first.
async fn second(first: &TestNode) -> TestNode {
    let second = TestNode::without_owner("alice's tablet").await;
    let asked = identity_log::request(
        &first.identity.log().unwrap(),
        OpBody::AddNode(second.identity.card()),
    )
    .unwrap();
    let Ok(Signed::Claim(claim)) = transfer::sign(&asked, &mnemonic_of("alice")) else {
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
    let asked = identity_log::request(&at.identity.log().unwrap(), body).unwrap();
    let Ok(Signed::Request(signed)) = transfer::sign(&asked, &mnemonic_of("alice")) else {
        panic!("not signed")
    };
    identity_log::upload(at, &signed).await.unwrap();
    apply::run_due(at).await.unwrap();
}

async fn say(node: &Node, body: Body) -> EntryId {
    let inside = node.clone();
    node.clock.advance(1);
    node.store
        .commit(move |tx: &mut Tx<'_>| feed::append_only(tx, &inside, Lane::PUBLIC, &body))
        .await
        .unwrap()
}

/// One node is given all that another holds of a person.
async fn give(from: &Node, to: &Node, of: PersonId) {
    let entries = feed::heads(from, &of)
        .unwrap()
        .into_iter()
        .flat_map(|head| feed::read(from, &head.log, 0, 256, usize::MAX).unwrap());
    apply::receive(to, from.identity.person().unwrap(), entries.collect()).await.unwrap();
}

fn who(node: &Node) -> PersonId {
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
    let second = second(&first).await;
    let long = "words that nobody keeps ".repeat(400);
    let picture = photo(&first).await;
    let saved = save_draft(&first, Draft { photos: vec![picture.id], ..draft("The hill", &long) })
        .await
        .unwrap();
    let post = publish::saved_post(&first, saved.id).await.unwrap();
    let text = crate::store::BlobId(*blake3::hash(long.trim_end().as_bytes()).as_bytes());
    assert!(first.blobs.contains(&text).unwrap());

    give(&first, &second, who(&first)).await;
    say(&second, Body::Tombstone { of: post.entry.unwrap() }).await;
    give(&second, &first, who(&first)).await;
    assert_eq!(by_id(&first, &Visitor::Owner, post.id).unwrap(), None);
    assert_eq!(here(&first, "the-hill"), None);
    assert_eq!(
        (published(&first, &Visitor::Stranger, None, 10).unwrap(), count(&first).unwrap()),
        (Vec::new(), 0)
    );
    assert_eq!(timeline::page(&first, None, 10).unwrap(), []);
    erasure::unlink(&first).unwrap();
    assert!(!first.blobs.contains(&text).unwrap(), "the text is still on the disk");
    assert_eq!(
        posted(&first, "The hill", "again").await.slug,
        "the-hill",
        "the address is still taken"
    );
    // The photo is the owner's still, and may be deleted now.
    photos::delete(&first, picture.id).await.unwrap();
    // Hearing it once more changes nothing.
    give(&second, &first, who(&first)).await;
    assert_eq!(published(&first, &Visitor::Stranger, None, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn edit_on_second_node_changes_this_site() {
    let first = TestNode::new("alice").await;
    let second = second(&first).await;
    let [there, gone] = [photo(&first).await, photo(&first).await];
    let saved = save_draft(
        &first,
        Draft { photos: vec![there.id, gone.id], ..draft("The hill", "We walked.") },
    )
    .await
    .unwrap();
    let post = publish::saved_post(&first, saved.id).await.unwrap();
    posted(&first, "Taken", "An address that is taken.").await;
    let of = post.entry.unwrap();
    give(&first, &second, who(&first)).await;

    let long = "We ran, and ran. ".repeat(300);
    let elsewhere = feed::PhotoRef {
        blob: crate::store::BlobId([7; 32]),
        small: crate::store::BlobId([8; 32]),
        ..photos::entry_photo(&there)
    };
    let photos = vec![photos::entry_photo(&there), elsewhere];
    say(
        &second,
        Body::Edit {
            of,
            post: PostBody { photos, ..version("The mountain", "the-mountain", &long) },
        },
    )
    .await;
    give(&second, &first, who(&first)).await;
    let now = here(&first, "the-mountain").unwrap();
    assert_eq!(
        (now.id, now.title.as_str(), now.text.as_str()),
        (post.id, "The mountain", long.as_str())
    );
    assert_eq!(
        (now.photos, now.edited.is_some(), now.published),
        (vec![there.id], true, post.published)
    );
    assert_eq!(
        by_slug(&first, &Visitor::Stranger, "the-hill").unwrap(),
        Some(Found::Moved("the-mountain".into()))
    );
    assert_eq!(timeline::get(&first, &of).unwrap().unwrap().title, "The mountain");

    // An address that another post has is not taken from it.
    say(&second, Body::Edit { of, post: version("Mine", "taken", "short") }).await;
    give(&second, &first, who(&first)).await;
    assert_eq!(here(&first, "the-mountain").unwrap().text, "short");
    assert_eq!(here(&first, "taken").unwrap().title, "Taken");

    publish::edit(&first, post.id, draft("The hill", "We rested.")).await.unwrap();
    give(&second, &first, who(&first)).await;
    assert_eq!(here(&first, "the-mountain").unwrap().text, "We rested.");
    assert_eq!(timeline::get(&first, &of).unwrap().unwrap().text, "We rested.");
    publish::delete(&first, post.id).await.unwrap();
    give(&second, &first, who(&first)).await;
    assert_eq!(here(&first, "the-mountain"), None);
}

#[tokio::test]
async fn entry_of_friend_never_changes_the_site() {
    let (alice, bob) = TestNode::pair().await;
    let post = posted(&alice, "The hill", "We walked.").await;
    let of = post.entry.unwrap();
    say(&bob, Body::Edit { of, post: version("Bob's", "bobs", "Bob was here.") }).await;
    say(&bob, Body::Tombstone { of }).await;
    give(&bob, &alice, who(&bob)).await;
    assert_eq!(here(&alice, "the-hill"), Some(post));
}

#[tokio::test]
async fn retirement_restores_posts_hidden_by_a_stolen_node() {
    let first = TestNode::new("alice").await;
    let second = second(&first).await;
    let picture = photo(&first).await;
    let saved =
        save_draft(&first, Draft { photos: vec![picture.id], ..draft("The hill", "We walked.") })
            .await
            .unwrap();
    let post = publish::saved_post(&first, saved.id).await.unwrap();
    give(&first, &second, who(&first)).await;
    for number in 0..50 {
        say(&second, Body::Tombstone { of: EntryId([number; 32]) }).await;
    }
    say(&second, Body::Tombstone { of: post.entry.unwrap() }).await;
    give(&second, &first, who(&first)).await;
    assert_eq!(
        (here(&first, "the-hill"), published(&first, &Visitor::Stranger, None, 10).unwrap()),
        (None, Vec::new())
    );
    assert!(by_id(&first, &Visitor::Owner, post.id).unwrap().is_some(), "its owner still finds it");

    retire(&first, &second).await;
    assert_eq!(here(&first, "the-hill"), Some(post.clone()));
    assert_eq!(timeline::page(&first, None, 10).unwrap().len(), 1);
    // And it can be changed as before.
    publish::edit(&first, post.id, draft("The hill", "We ran.")).await.unwrap();
    assert_eq!(here(&first, "the-hill").unwrap().text, "We ran.");
}

#[tokio::test]
async fn post_deleted_by_stolen_node_returns_from_a_friend() {
    let first = TestNode::new("alice").await;
    let second = second(&first).await;
    let picture = photo(&first).await;
    let saved =
        save_draft(&first, Draft { photos: vec![picture.id], ..draft("The hill", "We walked.") })
            .await
            .unwrap();
    let post = publish::saved_post(&first, saved.id).await.unwrap();
    let of = post.entry.unwrap();
    let kept = feed::entry(&first, &of).unwrap().unwrap();
    give(&first, &second, who(&first)).await;
    // What the thief says of its own is not published here, now or later.
    let theirs = say(&second, Body::Post(version("Mine", "mine", "buy"))).await;
    say(&second, Body::Tombstone { of }).await;
    give(&second, &first, who(&first)).await;
    assert_eq!((here(&first, "the-hill"), here(&first, "mine")), (None, None));
    posted(&first, "The hill", "Another one, at the address that was free.").await;

    retire(&first, &second).await;
    assert_eq!(feed::missing(&first, &who(&first), 10).unwrap(), [of]);
    apply::receive(&first, who(&first), vec![kept.clone()]).await.unwrap();
    let again = here(&first, "the-hill-2").unwrap();
    assert_eq!(
        (again.title.as_str(), again.text.as_str(), &again.photos),
        ("The hill", "We walked.", &post.photos)
    );
    assert_eq!((again.published, again.edited, again.entry), (post.published, None, Some(of)));
    let both = published(&first, &Visitor::Stranger, None, 10).unwrap();
    assert_eq!((both.len(), timeline::page(&first, None, 10).unwrap().len()), (2, 2));
    assert!(timeline::get(&first, &theirs).unwrap().is_none());
    // It can be changed as before, and taken back for good.
    publish::edit(&first, again.id, draft("The hill", "We ran.")).await.unwrap();
    assert_eq!(here(&first, "the-hill-2").unwrap().text, "We ran.");
    publish::delete(&first, again.id).await.unwrap();
    apply::receive(&first, who(&first), vec![kept]).await.unwrap();
    assert_eq!(published(&first, &Visitor::Stranger, None, 10).unwrap().len(), 1);
    assert_eq!(feed::check(&first).unwrap().wrong, Vec::<String>::new());
}
