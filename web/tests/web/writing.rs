//! Writing posts: the photos of a post, the form that comes back, the outcome of a form, the list
//! of all posts.

use axum::http::StatusCode;
use freehold_core::audience::{Audience, Visitor};
use freehold_core::outbox;
use freehold_core::photos::{self, PhotoId};
use freehold_core::posts::{self, Draft, Post};
use freehold_core::publish;
use freehold_core::testing::TestNode;

use crate::browser::{Browser, Seen};
use crate::photos::{png, upload_to};

/// The address of the upload form.
const ADD: &str = "/home/photos/add";

/// Adds photos and gives them with the first that was added first.
async fn add_photos(node: &TestNode, owner: &mut Browser, count: usize) -> Vec<PhotoId> {
    for number in 0..count {
        node.clock.advance(1000);
        upload_to(owner, ADD, &[("alt", &format!("Photo {number}"))], &png()).await.location();
    }
    let mut ids: Vec<_> = photos::list(node, &Visitor::Owner, None, 100).unwrap();
    ids.reverse();
    ids.into_iter().map(|photo| photo.id).collect()
}

/// The fields of the form as a browser sends them, without its buttons.
fn fields(page: &Seen) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    for name in ["id", "revision", "title", "text", "slug"] {
        let found = page.all(&format!("[name='{name}']"));
        fields.extend(found.first().map(|field| (name.to_owned(), field.value())));
    }
    fields.extend(chosen(page).into_iter().map(|photo| ("photo[]".to_owned(), photo)));
    fields
}

async fn press(owner: &mut Browser, path: &str, page: &Seen, intent: &str) -> Seen {
    let mut fields = fields(page);
    fields.push(("intent".to_owned(), intent.to_owned()));
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    owner.post(path, &fields).await
}

fn chosen(page: &Seen) -> Vec<String> {
    let photos = page.all("ol.chosen input[type='hidden']");
    photos
        .iter()
        .filter(|photo| photo.attr("name") == "photo[]")
        .map(|photo| photo.value())
        .collect()
}

async fn published(node: &TestNode, photos: &[PhotoId]) -> Post {
    let draft = Draft {
        title: "With photos".into(),
        text: "Words.".into(),
        photos: photos.to_vec(),
        ..Draft::default()
    };
    publish::post(node, draft).await.unwrap()
}

#[tokio::test]
async fn untouched_save_of_a_post_changes_nothing() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let ids = add_photos(&alice, &mut owner, 3).await;
    let post = published(&alice, &[ids[1], ids[0], ids[2]]).await;
    // More newer photos than the form offers.
    add_photos(&alice, &mut owner, 25).await;
    let head = outbox::durable_head(&alice).unwrap();
    alice.clock.advance(24 * 60 * 60 * 1000);
    let path = format!("/home/write/{}", post.id);
    let form = owner.get(&path).await;
    let order = [ids[1], ids[0], ids[2]].map(|id| id.to_string());
    assert_eq!(chosen(&form), order);
    let saved = press(&mut owner, &path, &form, "edit").await;
    assert!(saved.header("location").ends_with("?done=unchanged"));
    let after = posts::by_id(&alice, &Visitor::Owner, post.id).unwrap().unwrap();
    assert_eq!(after, post);
    assert_eq!(outbox::durable_head(&alice).unwrap(), head, "friends get no entry");
    let shown = Browser::stranger(&alice).get("/2026/with-photos").await;
    let files = shown.all("figure img");
    let expected: Vec<_> = order.iter().map(|id| format!("/photos/{id}/1600.jpg")).collect();
    assert_eq!(files.iter().map(|file| file.attr("src")).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn buttons_move_photos_and_leave_them_out() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let ids = add_photos(&alice, &mut owner, 3).await;
    let names: Vec<String> = ids.iter().map(PhotoId::to_string).collect();
    let post = published(&alice, &ids[..2]).await;
    let path = format!("/home/write/{}", post.id);
    let form = owner.get(&path).await;
    assert!(form.has(&format!("ol.chosen button[value='later-{}']", names[0])));
    assert!(!form.has(&format!("button[value='earlier-{}']", names[0])), "it is the first");
    let moved = press(&mut owner, &path, &form, &format!("earlier-{}", names[1])).await;
    assert_eq!(chosen(&moved), [names[1].clone(), names[0].clone()]);
    assert!(moved.one("#photos-status[role='status']").text().contains('1'));
    let before = posts::by_id(&alice, &Visitor::Owner, post.id).unwrap().unwrap();
    assert_eq!(before.photos, ids[..2], "a move alone saves nothing");
    let saved = press(&mut owner, &path, &moved, "edit").await;
    assert!(saved.header("location").ends_with("?done=changed"));
    let form = owner.get(&path).await;
    assert_eq!(chosen(&form), [names[1].clone(), names[0].clone()]);
    let left = press(&mut owner, &path, &form, &format!("leave-out-{}", names[1])).await;
    assert_eq!(chosen(&left), [names[0].clone()]);
    assert!(left.has(&format!(".pick [value='{}']", names[1])), "it can be chosen again");
    let page = owner.get("/2026/with-photos?done=changed").await;
    assert!(!page.one("#done[role='status']").text().is_empty());
}

#[tokio::test]
async fn photo_is_added_to_a_published_post() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let ids = add_photos(&alice, &mut owner, 1).await;
    let post = published(&alice, &ids).await;
    let path = format!("/home/write/{}", post.id);
    let form = owner.get(&path).await;
    let add = press(&mut owner, &path, &form, "photos").await.location();
    let back = upload_to(&mut owner, &add, &[("alt", "Second")], &png()).await;
    assert_eq!(back.location(), path);
    assert!(owner.get(back.header("location")).await.has("#done[role='status']"));
    let after = posts::by_id(&alice, &Visitor::Stranger, post.id).unwrap().unwrap();
    assert_eq!((after.photos.len(), after.photos[0]), (2, ids[0]));
    assert!(posts::drafts(&alice).unwrap().is_empty());
}

#[tokio::test]
async fn older_photos_are_offered_and_the_form_stays() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    for number in 0..60u8 {
        alice.clock.advance(1000);
        alice.store_photo(&[number; 10], b"small", Audience::Public).await;
    }
    let mut page = owner.open("/home/write").await;
    let picked = page.all(".pick input")[3].value();
    let form = [("title", "Many"), ("text", "words"), ("photo[]", picked.as_str())];
    for (offered, has_more) in [(24, true), (48, true), (59, false)] {
        assert_eq!(page.all(".pick input").len(), offered);
        assert_eq!(page.has("button[value='more-photos']"), has_more, "{offered}");
        if offered > 24 {
            assert_eq!((chosen(&page), page.field("title")), (vec![picked.clone()], "Many".into()));
            assert!(page.has("li#more-photos"));
        }
        let seen = page.all("[name='offered']").first().map(|field| field.value());
        let seen = seen.unwrap_or_default();
        let pressed = [("offered", seen.as_str()), ("intent", "more-photos")];
        page = owner.post("/home/write", &[&form[..], &pressed].concat()).await;
    }
    assert!(posts::drafts(&alice).unwrap().is_empty());
}

#[tokio::test]
async fn preview_shows_the_chosen_photos() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let id = add_photos(&alice, &mut owner, 1).await.remove(0).to_string();
    let fields = [("text", "One\nTwo"), ("photo[]", id.as_str()), ("intent", "preview")];
    let seen = owner.post("/home/write", &fields).await;
    assert!(seen.has(&format!("#preview figure img[src='/photos/{id}/1600.jpg']")));
    assert!(seen.has("#preview p br"), "a line end in a note is one on the page");
}

#[tokio::test]
async fn new_form_of_a_published_post_opens_that_post() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let address = owner.get("/home/write").await.header("location").to_owned();
    assert!(address.starts_with("/home/write?id="), "{address}");
    let form = owner.get(&address).await;
    let id = form.field("id");
    assert_eq!(address, format!("/home/write?id={id}"));
    let sent = [("title", "Tide"), ("text", "one"), ("id", id.as_str()), ("intent", "publish")];
    owner.post("/home/write", &sent).await.location();
    // The back button asks for the form's address again.
    assert_eq!(owner.get(&address).await.location(), format!("/home/write/{id}"));
    for bad in ["", "x", "%22%3E", "../x"] {
        let target = owner.get(&format!("/home/write?id={bad}")).await;
        assert!(target.location().starts_with("/home/write?id="), "{bad}");
    }
}

#[tokio::test]
async fn outcome_of_a_form_is_shown_to_the_owner() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let form = [("title", "Tide"), ("text", "one"), ("intent", "publish")];
    let target = owner.post("/home/write", &form).await.header("location").to_owned();
    assert_eq!(target, "/2026/tide?done=published");
    let page = owner.get(&target).await;
    assert!(page.has("#done[role='status']") && page.has("nav a[href='/home']"));
    let seen = Browser::stranger(&alice).get(&target).await;
    assert!(!seen.has("#done") && !seen.has("nav a[href='/home']"));
    let Some(posts::Found::Here(post)) = posts::by_slug(&alice, &Visitor::Owner, "tide").unwrap()
    else {
        panic!("no post")
    };
    let withdrawn = owner.post(&format!("/home/write/{}/withdraw", post.id), &[]).await;
    let said = owner.open(withdrawn.header("location")).await.one("#done").text();
    let draft = owner.post("/home/write", &[("text", "x"), ("intent", "draft")]).await;
    assert!(owner.open(draft.header("location")).await.has("#done"));
    let thrown = owner.post(&format!("{}/withdraw", draft.location()), &[]).await;
    assert_ne!(owner.open(thrown.header("location")).await.one("#done").text(), said);
    assert!(!owner.open("/home/write?done=%3Cb%3E").await.has("#done"));
}

#[tokio::test]
async fn refused_post_opens_at_the_field() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    published(&alice, &[]).await;
    let none = owner.post("/home/write", &[("title", "T"), ("intent", "publish")]).await;
    let taken = [("text", "x"), ("slug", "with-photos"), ("intent", "publish")];
    let taken = owner.post("/home/write", &taken).await;
    for (seen, field) in [(none, "text"), (taken, "slug")] {
        assert_eq!(seen.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(seen.one("[autofocus]").attr("name"), field);
        assert_eq!(seen.fault(field), seen.one(&format!("#{field}-fault")).text());
        assert_eq!(seen.has("details[open] #slug"), field == "slug");
    }
}

#[tokio::test]
async fn all_posts_are_listed_and_searched() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    assert!(owner.get("/home/posts").await.has("#no-posts"));
    for number in 0..55 {
        alice.clock.advance(1000);
        let title = format!("{} {number:02}", if number % 5 == 0 { "Heron" } else { "Tide" });
        let draft = Draft { title, text: "x".into(), ..Draft::default() };
        publish::post(&alice, draft).await.unwrap();
    }
    assert!(owner.open("/home/write").await.has("a[href='/home/posts']"));
    let first = owner.get("/home/posts").await;
    assert_eq!(first.all("#posts li").len(), 50);
    let next = first.one("a[href^='/home/posts?before=']").attr("href").to_owned();
    assert_eq!(owner.get(&next).await.all("#posts li").len(), 5);
    let found = owner.get("/home/posts?words=hERon").await;
    assert_eq!(found.all("#posts li").len(), 11);
    let both = owner.get("/home/posts?words=05++heron").await;
    assert_eq!(both.all("#posts li").len(), 1, "in any order, each of them");
    assert!(owner.get("/home/posts?words=heron+tide").await.has("#no-posts"));
    let none = owner.get("/home/posts?words=%3Cscript%3E").await;
    assert_eq!((none.field("words").as_str(), none.has("script")), ("<script>", false));
    assert!(none.has("#no-posts"));
}

#[tokio::test]
async fn directions_of_a_title_end_with_it() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let title = "שלום\u{200f} \u{2067}a \u{202e}b\u{202d}";
    let fields = [("title", title), ("text", "x \u{202e}y"), ("intent", "publish")];
    let path = owner.post("/home/write", &fields).await.location();
    let page = owner.get(&path).await;
    assert_eq!(page.one("main h1").text(), "שלום\u{200f} \u{2067}a b");
    assert!(page.one("title").text().starts_with("שלום\u{200f} a b · "), "beside another name");
    assert_eq!(page.one(".post").text(), "x y");
    let alt = [("alt", "Low \u{202e}nus")];
    let photo = upload_to(&mut owner, ADD, &alt, &png()).await.location();
    assert_eq!(owner.get(&photo).await.field("alt"), "Low nus");
}

#[tokio::test]
async fn form_to_withdraw_a_post_is_folded() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let post = published(&alice, &[]).await;
    let page = owner.get(&format!("/home/write/{}", post.id)).await;
    let form = format!("form[action='/home/write/{}/withdraw']", post.id);
    assert!(page.has(&format!("details {form}")) && !page.has(&format!("details[open] {form}")));
    // A browser opens the element that has the target of a link in it.
    assert!(page.has("details #take-back"));
}
