mod entries;
mod windows;

use super::*;
use crate::audience::Visitor;
use crate::feed;
use crate::node::Node;
use crate::outbox;
use crate::photos::{self, Photo, Upload};
use crate::publish;
use crate::testing::TestNode;
use crate::timeline;

fn draft(title: &str, text: &str) -> Draft {
    Draft { title: title.into(), text: text.into(), ..Draft::default() }
}

async fn publish_post(node: &Node, title: &str, text: &str) -> Post {
    let saved = save_draft(node, draft(title, text)).await.unwrap();
    publish::saved_post(node, saved.id).await.unwrap()
}

/// The post at an address, as a stranger sees it; `None` also for a redirect.
fn post_at(node: &Node, slug: &str) -> Option<Post> {
    match by_slug(node, &Visitor::Stranger, slug).unwrap() {
        Some(Found::Here(post)) => Some(*post),
        _ => None,
    }
}

async fn photo(node: &Node) -> Photo {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(20, 10).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let file = node.blobs.put(&png.into_inner()).unwrap();
    let upload = Upload {
        file,
        file_name: "hill.png".into(),
        alt: "a hill".into(),
        caption: "late".into(),
        audience: Audience::Public,
    };
    photos::add(node, upload).await.unwrap()
}

#[tokio::test]
async fn draft_is_visible_to_owner_only() {
    let alice = TestNode::new("alice").await;
    let saved =
        save_draft(&alice, draft("  The  hill ", "We walked.\r\nSlowly.  \n")).await.unwrap();
    assert_eq!(
        (saved.title.as_str(), saved.text.as_str(), saved.slug.as_str()),
        ("The hill", "We walked.\nSlowly.", "the-hill")
    );
    assert_eq!(by_id(&alice, &Visitor::Stranger, saved.id).unwrap(), None);
    assert_eq!(by_slug(&alice, &Visitor::Owner, "the-hill").unwrap(), None);
    assert_eq!(drafts(&alice).unwrap(), std::slice::from_ref(&saved));
    let again = save_draft(&alice, Draft { id: Some(saved.id), ..draft("The hill", "We ran.") })
        .await
        .unwrap();
    assert_eq!((again.id, again.created), (saved.id, saved.created));

    let post = publish::saved_post(&alice, saved.id).await.unwrap();
    assert_eq!(drafts(&alice).unwrap(), []);
    assert_eq!(post_at(&alice, "the-hill"), Some(post.clone()));
    assert_eq!(
        published(&alice, &Visitor::Stranger, None, 10).unwrap(),
        std::slice::from_ref(&post)
    );
    assert_eq!(publish::saved_post(&alice, saved.id).await, Err(PostError::AlreadyPublished));
    assert_eq!(
        save_draft(&alice, Draft { id: Some(saved.id), ..draft("x", "y") }).await,
        Err(PostError::AlreadyPublished)
    );
}

#[tokio::test]
async fn empty_draft_is_refused() {
    let alice = TestNode::new("alice").await;
    for result in [
        save_draft(&alice, draft(" ", " \r\n ")).await,
        publish::post(&alice, draft("", "")).await,
        publish::post(&alice, draft("A title", " ")).await,
    ] {
        assert_eq!(result, Err(PostError::Empty));
    }
    assert_eq!(drafts(&alice).unwrap(), []);
    let taken = publish::post(&alice, Draft { slug: Some("hill".into()), ..draft("", "First.") })
        .await
        .unwrap();
    assert_eq!((taken.state, taken.slug.as_str()), (State::Published, "hill"));
    assert_eq!(
        publish::post(&alice, Draft { slug: Some("hill".into()), ..draft("", "Second.") }).await,
        Err(PostError::SlugTaken)
    );
    assert_eq!(drafts(&alice).unwrap(), []);
    // An existing draft may become empty and stays a draft.
    let begun = save_draft(&alice, draft("Later", "")).await.unwrap();
    let emptied = save_draft(&alice, Draft { id: Some(begun.id), ..draft("", "") }).await.unwrap();
    assert_eq!((drafts(&alice).unwrap().len(), emptied.title.as_str()), (1, ""));
}

#[tokio::test]
async fn publishing_writes_entry_outbox_and_timeline_in_one_commit() {
    let alice = TestNode::new("alice").await;
    let picture = photo(&alice).await;
    let head = outbox::durable_head(&alice).unwrap();
    let saved = save_draft(
        &alice,
        Draft { photos: vec![picture.id, picture.id], ..draft("The hill", &"words ".repeat(3000)) },
    )
    .await
    .unwrap();
    let post = publish::saved_post(&alice, saved.id).await.unwrap();
    assert_eq!(outbox::durable_head(&alice).unwrap(), head + 1);
    let (_, body) = feed::opened(&alice, &post.entry.unwrap()).unwrap().unwrap();
    let body = body.unwrap();
    let entry = body.post().unwrap();
    assert_eq!(
        (entry.slug.as_str(), entry.text.as_str(), entry.photos.len()),
        ("the-hill", post.text.as_str(), 1)
    );
    assert_eq!(
        (entry.photos[0].blob, entry.photos[0].alt.as_str()),
        (picture.large.blob, "a hill")
    );
    let items = timeline::page(&alice, None, 10).unwrap();
    assert_eq!(
        (items.len(), items[0].entry, items[0].seen, items[0].is_whole),
        (1, post.entry.unwrap(), true, false)
    );
    assert!(items[0].photos[0].has_large && items[0].photos[0].has_small);
    assert_eq!(timeline::text(&alice, &post.entry.unwrap()).unwrap(), Some(post.text));
    assert_eq!(timeline::unread(&alice).unwrap(), 0);
}

#[tokio::test]
async fn edit_replaces_text_and_redirects_old_slug() {
    let alice = TestNode::new("alice").await;
    let post = publish_post(&alice, "The hill", "We walked.").await;
    alice.clock.advance(1000);
    let edited = publish::edit(&alice, post.id, draft("The high hill", "We ran.")).await.unwrap();
    assert_eq!(
        (edited.slug.as_str(), edited.published, edited.edited),
        ("the-hill", post.published, Some(alice.clock.now()))
    );
    let moved = publish::edit(
        &alice,
        post.id,
        Draft { slug: Some("high-hill".into()), ..draft("The high hill", "We flew.") },
    )
    .await
    .unwrap();
    assert_eq!(moved.slug, "high-hill");
    assert_eq!(
        by_slug(&alice, &Visitor::Stranger, "the-hill").unwrap(),
        Some(Found::Moved("high-hill".into()))
    );
    assert_eq!(post_at(&alice, "high-hill").unwrap().text, "We flew.");
    let item = &timeline::page(&alice, None, 10).unwrap()[0];
    assert_eq!(
        (item.entry, item.title.as_str(), item.text.as_str()),
        (post.entry.unwrap(), "The high hill", "We flew.")
    );
    // The old slug can be taken again.
    let back = publish::edit(
        &alice,
        post.id,
        Draft { slug: Some("the-hill".into()), ..draft("The hill", "We sat.") },
    )
    .await
    .unwrap();
    assert_eq!(back.slug, "the-hill");
    assert_eq!(
        by_slug(&alice, &Visitor::Stranger, "high-hill").unwrap(),
        Some(Found::Moved("the-hill".into()))
    );
    let body = feed::opened(&alice, &post.entry.unwrap()).unwrap().unwrap().1;
    assert_eq!(body, None, "the replaced body is deleted");
}

#[tokio::test]
async fn post_with_many_edits_is_deleted_in_one_commit() {
    let alice = TestNode::new("alice").await;
    let post = publish_post(&alice, "The hill", "We walked.").await;
    for number in 0..1_200 {
        publish::edit(&alice, post.id, draft("The hill", &format!("We walked {number} steps.")))
            .await
            .unwrap();
    }
    publish::delete(&alice, post.id).await.unwrap();
    assert_eq!(timeline::page(&alice, None, 10).unwrap(), []);
    let log = feed::heads(&alice, &alice.identity.person().unwrap()).unwrap().remove(0).log;
    let mut bodies = Vec::new();
    for from in (0..1_202).step_by(200) {
        bodies.extend(
            feed::read(&alice, &log, from, 200, usize::MAX)
                .unwrap()
                .into_iter()
                .map(|entry| entry.body),
        );
    }
    assert_eq!(
        (bodies.len(), bodies.iter().flatten().count()),
        (1_202, 1),
        "only the tombstone has a body"
    );
}

#[tokio::test]
async fn slug_is_never_shared_even_an_old_one() {
    let alice = TestNode::new("alice").await;
    let first = publish_post(&alice, "Bread", "Rye.").await;
    let second = publish_post(&alice, "Bread", "Wheat.").await;
    assert_eq!((first.slug.as_str(), second.slug.as_str()), ("bread", "bread-2"));
    publish::edit(&alice, first.id, Draft { slug: Some("rye".into()), ..draft("Bread", "Rye.") })
        .await
        .unwrap();
    assert_eq!(
        publish::edit(
            &alice,
            second.id,
            Draft { slug: Some("bread".into()), ..draft("Bread", "W") }
        )
        .await,
        Err(PostError::SlugTaken)
    );
    let third = save_draft(&alice, Draft { slug: Some("bread".into()), ..draft("Other", "Oats.") })
        .await
        .unwrap();
    assert_eq!(publish::saved_post(&alice, third.id).await, Err(PostError::SlugTaken));
    for bad in ["Bread", "a/b", "..", "a b"] {
        assert_eq!(
            save_draft(&alice, Draft { slug: Some(bad.into()), ..draft("x", "y") }).await,
            Err(PostError::InvalidSlug),
            "{bad}"
        );
    }
    let note = publish_post(&alice, "", "Only a few words.").await;
    assert_eq!(note.slug, "only-a-few-words");
    assert_eq!(publish_post(&alice, "", "?!").await.slug, "note");
}

#[tokio::test]
async fn deleted_post_leaves_site_feed_and_timeline() {
    let alice = TestNode::new("alice").await;
    let picture = photo(&alice).await;
    let saved = save_draft(
        &alice,
        Draft { photos: vec![picture.id], ..draft("The hill", &"secret ".repeat(1000)) },
    )
    .await
    .unwrap();
    let post = publish::saved_post(&alice, saved.id).await.unwrap();
    publish::edit(
        &alice,
        post.id,
        Draft { slug: Some("hill".into()), photos: vec![picture.id], ..draft("The hill", "x") },
    )
    .await
    .unwrap();
    assert_eq!(photos::delete(&alice, picture.id).await, Err(photos::ChangeError::InUse));
    publish::delete(&alice, post.id).await.unwrap();
    assert_eq!(publish::delete(&alice, post.id).await, Err(PostError::NoSuchPost));
    for slug in ["the-hill", "hill"] {
        assert_eq!(by_slug(&alice, &Visitor::Owner, slug).unwrap(), None);
    }
    assert_eq!(published(&alice, &Visitor::Owner, None, 10).unwrap(), []);
    assert_eq!(timeline::page(&alice, None, 10).unwrap(), []);
    assert!(feed::opened(&alice, &post.entry.unwrap()).unwrap().unwrap().1.is_none());
    photos::delete(&alice, picture.id).await.unwrap();
    assert_eq!(publish_post(&alice, "The hill", "again").await.slug, "the-hill");
}

#[tokio::test]
async fn empty_or_oversized_draft_is_refused() {
    let alice = TestNode::new("alice").await;
    let empty = save_draft(&alice, draft("Title", " \n ")).await.unwrap();
    assert_eq!(publish::saved_post(&alice, empty.id).await, Err(PostError::Empty));
    assert_eq!(
        save_draft(&alice, draft(&"ш".repeat(251), "y")).await,
        Err(PostError::LongTitle(251))
    );
    publish_post(&alice, &"𝄞".repeat(250), "the longest title, in the longest characters").await;
    assert!(matches!(
        save_draft(&alice, draft("x", &"y".repeat(60_001))).await,
        Err(PostError::TooLong { what: "text", .. })
    ));
    let missing = Draft { photos: vec![photos::PhotoId([9; 16])], ..draft("x", "y") };
    assert_eq!(save_draft(&alice, missing).await, Err(PostError::NoSuchPhoto));
    assert_eq!(publish::saved_post(&alice, PostId([9; 16])).await, Err(PostError::NoSuchPost));
    assert_eq!(
        publish::edit(&alice, empty.id, draft("x", "y")).await,
        Err(PostError::NotPublished)
    );
    publish::delete(&alice, empty.id).await.unwrap();

    let nobody = TestNode::without_owner("nobody").await;
    let saved = save_draft(&nobody, draft("x", "y")).await.unwrap();
    assert_eq!(publish::saved_post(&nobody, saved.id).await, Err(PostError::Unclaimed));
    assert_eq!(post_at(&nobody, "x"), None);
}

#[tokio::test]
async fn post_pages_have_no_gap_or_repeat() {
    let alice = TestNode::new("alice").await;
    for n in 0..7 {
        publish_post(&alice, &format!("Post {n}"), "text").await;
        alice.clock.advance(u64::from(n % 2 == 0));
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = published(&alice, &Visitor::Stranger, before, 2).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.cursor().unwrap().to_string().parse().unwrap());
        seen.extend(page.into_iter().map(|post| post.title));
    }
    seen.sort();
    assert_eq!(seen, (0..7).map(|n| format!("Post {n}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn long_text_is_stored_unchanged() {
    let alice = TestNode::new("alice").await;
    let long = "Ünïcödé wörds. ".repeat(3000);
    let saved = save_draft(&alice, draft("Long", &long)).await.unwrap();
    assert_eq!(saved.text, long.trim_end());
    let post = publish::saved_post(&alice, saved.id).await.unwrap();
    assert_eq!(post_at(&alice, "long").unwrap().text, long.trim_end());
    assert_eq!(post.minutes, 28);
}

#[tokio::test]
async fn imported_date_is_kept_but_never_future() {
    let alice = TestNode::new("alice").await;
    let now = publish::post(&alice, draft("Now", "Today.")).await.unwrap();
    let day = 24 * 60 * 60 * 1000;
    let at = |days: i64| Some(Timestamp(alice.clock.now().0.saturating_add_signed(days * day)));
    let (old, ahead) = (
        save_draft(&alice, draft("Then", "Long ago.")).await.unwrap(),
        save_draft(&alice, draft("Soon", "Not yet.")).await.unwrap(),
    );
    let old = publish::post_dated(&alice, old.id, at(-300)).await.unwrap();
    let ahead = publish::post_dated(&alice, ahead.id, at(300)).await.unwrap();
    assert_eq!((old.published, ahead.published), (at(-300), at(0)));
    let last = published(&alice, &Visitor::Stranger, None, 10).unwrap().pop().unwrap();
    assert_eq!(last.id, old.id, "posts are sorted by their date");
    let shown: Vec<_> = crate::timeline::page(&alice, None, 10)
        .unwrap()
        .into_iter()
        .map(|item| (item.title, Some(item.shown)))
        .collect();
    assert_eq!(shown.last(), Some(&("Then".to_owned(), at(-300))));
    assert!(shown.iter().all(|(_, shown)| *shown <= at(0)) && now.published == at(0));
    publish::delete(&alice, old.id).await.unwrap();
    assert_eq!(published(&alice, &Visitor::Stranger, None, 10).unwrap().len(), 2);
}

#[tokio::test]
async fn titled_posts_are_found_by_words_in_pages() {
    let alice = TestNode::new("alice").await;
    for (title, text) in
        [("The Heron", "a"), ("", "A heron again."), ("Tide", "b"), ("HERONS", "c")]
    {
        alice.clock.advance(1000);
        publish_post(&alice, title, text).await;
    }
    save_draft(&alice, draft("A heron unfinished", "d")).await.unwrap();
    let slugs = |page: &Titled| page.posts.iter().map(|post| post.slug.clone()).collect::<Vec<_>>();
    let first = titled(&alice, "heron", None, 2).unwrap();
    assert_eq!(slugs(&first), ["herons", "a-heron-again"]);
    let second = titled(&alice, "heron", first.next, 2).unwrap();
    assert_eq!((slugs(&second), second.next), (vec!["the-heron".to_owned()], None));
    let all = titled(&alice, "", None, 9).unwrap();
    assert_eq!((all.posts.len(), all.next), (4, None));
    assert_eq!(slugs(&titled(&alice, "<none>", None, 9).unwrap()), [] as [&str; 0]);
}

#[tokio::test]
async fn untouched_save_writes_no_entry() {
    let alice = TestNode::new("alice").await;
    let pictures = [photo(&alice).await.id, photo(&alice).await.id];
    for (number, text) in ["Short.".to_owned(), "words ".repeat(3000)].into_iter().enumerate() {
        let title = format!("Post {number}");
        let saved = Draft { photos: pictures.to_vec(), ..draft(&title, &text) };
        let post = publish::post(&alice, saved).await.unwrap();
        let head = outbox::durable_head(&alice).unwrap();
        alice.clock.advance(60_000);
        let untouched = Draft {
            id: Some(post.id),
            precondition: Precondition::Revision(post.revision),
            photos: post.photos.clone(),
            slug: Some(post.slug.clone()),
            ..draft(&post.title, &post.text)
        };
        let after = publish::edit(&alice, post.id, untouched.clone()).await.unwrap();
        assert_eq!((&after, after.edited), (&post, None));
        assert_eq!(outbox::durable_head(&alice).unwrap(), head, "no entry for friends");
        let turned = Draft { photos: vec![pictures[1], pictures[0]], ..untouched };
        let turned = publish::edit(&alice, post.id, turned).await.unwrap();
        assert_eq!(turned.photos, [pictures[1], pictures[0]]);
        assert_eq!(outbox::durable_head(&alice).unwrap(), head + 1);
    }
}

#[tokio::test]
async fn forbidden_characters_are_removed_from_posts() {
    let alice = TestNode::new("alice").await;
    let post =
        publish_post(&alice, "Em\u{10}dash\u{b}here", "\u{feff}one\u{b}two\u{0}\u{fffe}").await;
    assert_eq!((post.title.as_str(), post.text.as_str()), ("Emdash here", "one\ntwo"));
}

#[tokio::test]
async fn slug_of_older_rules_survives_an_edit() {
    let alice = TestNode::new("alice").await;
    let post = publish_post(&alice, "Post", "text").await;
    let old = "tiếng-việt-co-dấu";
    let id = post.id;
    let rename = move |tx: &mut crate::store::Tx<'_>| -> Result<(), PostError> {
        let row = rows::PostRow { slug: old.to_owned(), ..rows::load(tx, id)? };
        rows::claim_slug(tx, old, id)?;
        Ok(rows::save(tx, id, &row)?)
    };
    alice.store.commit(rename).await.unwrap();
    let kept = Draft { slug: Some(old.into()), ..draft("Post", "other text") };
    assert_eq!(publish::edit(&alice, id, kept).await.unwrap().slug, old);
    let other = Draft { slug: Some("với-dấu".into()), ..draft("Post", "other text") };
    assert_eq!(publish::edit(&alice, id, other).await, Err(PostError::InvalidSlug));
}
