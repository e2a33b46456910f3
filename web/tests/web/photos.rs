//! Adding photos, viewing them, private photos, unsupported files.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::{StatusCode, header};
use freehold_core::audience::{Audience, Visitor};
use freehold_core::photos;
use freehold_core::testing::TestNode;
use freehold_web::WebConfig;

use crate::browser::{Browser, Seen};

const BOUNDARY: &str = "----boundary";

/// A PNG of 3 × 2 pixels, eight-bit RGB.
pub(crate) fn png() -> Vec<u8> {
    data_encoding::BASE64.decode(PNG.as_bytes()).unwrap()
}

/// The file of [`png`] in base64.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAMAAAACCAIAAAASFvFNAAAAE0lEQVR4nGM4kWIEQQwn8owgCABWNghTvIXE3wAAAABJRU5ErkJggg==";

async fn upload(owner: &mut Browser, fields: &[(&str, &str)], file: &[u8]) -> Seen {
    upload_to(owner, "/home/photos/add", fields, file).await
}

pub(crate) async fn upload_to(
    owner: &mut Browser,
    path: &str,
    fields: &[(&str, &str)],
    file: &[u8],
) -> Seen {
    let public = [("audience", "public")];
    let is_chosen = fields.iter().any(|(name, _)| *name == "audience");
    let audience = if is_chosen { &[][..] } else { &public };
    send_parts(owner, path, &[fields, audience].concat(), file, &[]).await
}

/// A part of a multipart form.
fn part(disposition: &str, value: &[u8]) -> Vec<u8> {
    let head =
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name={disposition}\r\n\r\n");
    [head.as_bytes(), value, b"\r\n"].concat()
}

/// Sends the file with fields before and after it.
pub(crate) async fn send_parts(
    owner: &mut Browser,
    path: &str,
    before: &[(&str, &str)],
    file: &[u8],
    after: &[(&str, &str)],
) -> Seen {
    let texts = |fields: &[(&str, &str)]| -> Vec<u8> {
        let parts =
            fields.iter().map(|(name, value)| part(&format!("\"{name}\""), value.as_bytes()));
        parts.collect::<Vec<_>>().concat()
    };
    let file = part("\"file\"; filename=\"a.png\"", file);
    let end = format!("--{BOUNDARY}--\r\n").into_bytes();
    let body = [texts(before), file, texts(after), end].concat();
    let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = owner
        .request("POST", path)
        .header(header::CONTENT_TYPE, media_type)
        .body(Body::from(body))
        .unwrap();
    owner.send(request).await
}

#[tokio::test]
async fn uploaded_photo_is_public() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let seen = upload(
        &mut owner,
        &[("alt", "Low sun <over> it"), ("caption", "Before breakfast.")],
        &png(),
    )
    .await;
    assert!(seen.location().starts_with("/home/photos/"));
    assert!(owner.get(seen.header("location")).await.has("#done[role='status']"));
    let photo = photos::list(&alice, &Visitor::Stranger, None, 9).unwrap().remove(0);
    let mut visitor = Browser::stranger(&alice);
    assert!(
        visitor.get("/photos").await.has(&format!("main a[href='/photos/{}'] img", photo.slug))
    );
    let page = visitor.get(&format!("/photos/{}", photo.slug)).await;
    assert_eq!(page.one("main img").attr("alt"), "Low sun <over> it");
    assert_eq!(page.one("main h1").text(), "Before breakfast.");
    assert_eq!(
        visitor.get(&format!("/photos/{}", photo.id)).await.location(),
        format!("/photos/{}", photo.slug)
    );
    for size in ["400.jpg", "800.jpg", "1600.jpg"] {
        let file = visitor.get(&format!("/photos/{}/{size}", photo.id)).await;
        assert_eq!((file.status, file.header("content-type")), (StatusCode::OK, "image/jpeg"));
        assert_eq!(file.bytes[..3], [0xff, 0xd8, 0xff]);
    }
    assert_eq!(
        visitor.get(&format!("/photos/{}/original", photo.id)).await.status,
        StatusCode::NOT_FOUND
    );
    let original = owner.get(&format!("/home/photos/{}/original", photo.id)).await;
    assert_eq!(original.bytes, png());
}

#[tokio::test]
async fn private_photo_is_not_found_by_strangers() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    upload(&mut owner, &[("alt", "Mine"), ("audience", "owner")], &png()).await;
    let photo = photos::list(&alice, &Visitor::Owner, None, 9).unwrap().remove(0);
    let mut visitor = Browser::stranger(&alice);
    for path in [
        format!("/photos/{}", photo.slug),
        format!("/photos/{}", photo.id),
        format!("/photos/{}/400.jpg", photo.id),
    ] {
        assert_eq!(visitor.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(!visitor.get("/photos").await.text().contains("Mine"));
    let own = owner.get(&format!("/photos/{}/400.jpg", photo.id)).await;
    assert_eq!((own.status, own.header("cache-control")), (StatusCode::OK, "no-store"));
    assert_eq!(
        owner.get(&format!("/photos/{}", photo.slug)).await.header("cache-control"),
        "no-store"
    );
    owner
        .post(&format!("/home/photos/{}", photo.id), &[("alt", "Ours"), ("audience", "public")])
        .await;
    assert!(visitor.get("/photos").await.text().contains("Ours"));
    owner.post(&format!("/home/photos/{}/delete", photo.id), &[]).await;
    assert!(!visitor.get("/photos").await.text().contains("Ours"));
}

#[tokio::test]
async fn private_photo_is_public_while_a_post_shows_it() {
    let alice = TestNode::new("alice").await;
    let (mut owner, mut visitor) = (Browser::owner(&alice).await, Browser::stranger(&alice));
    upload(&mut owner, &[("alt", "Mine"), ("audience", "owner")], &png()).await;
    let photo = photos::list(&alice, &Visitor::Owner, None, 9).unwrap().remove(0);
    let (page, file) = (format!("/photos/{}", photo.slug), format!("/photos/{}/400.jpg", photo.id));
    assert_eq!(visitor.get(&file).await.status, StatusCode::NOT_FOUND);
    let private = owner.get(&file).await;
    assert!(owner.open("/home/write").await.has("#private-photos"));
    let fields = [
        ("title", "With a photo"),
        ("text", "words"),
        ("photo[]", &photo.id.to_string()),
        ("intent", "publish"),
    ];
    let path = owner.post("/home/write", &fields).await.location();
    assert!(visitor.get(&path).await.has(&format!("img[src^='/photos/{}/']", photo.id)));
    // In the log, then in a pack: the same bytes, and caches may keep them.
    for is_packed in [false, true] {
        if is_packed {
            alice.store.checkpoint().unwrap();
        }
        let seen = visitor.get(&file).await;
        assert_eq!(
            (seen.header("cache-control"), &seen.bytes),
            ("public, max-age=86400", &private.bytes)
        );
        let etag = seen.header("etag").to_owned();
        let again = visitor
            .request("GET", &file)
            .header(header::IF_NONE_MATCH, &etag)
            .body(Body::empty())
            .unwrap();
        let again = visitor.send(again).await;
        assert_eq!(
            (again.status, again.header("etag"), again.bytes.len()),
            (StatusCode::NOT_MODIFIED, etag.as_str(), 0)
        );
        for (tags, status) in [("\"no\"", 412), (&etag, 200), ("*", 200)] {
            let request = visitor.request("GET", &file).header(header::IF_MATCH, tags);
            let seen = visitor.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(seen.status.as_u16(), status, "{tags}");
        }
    }
    assert!(visitor.get(&page).await.text().contains("Mine"));
    assert!(!visitor.get("/photos").await.text().contains("Mine"), "it is in no list");
    let edit = format!("/home/photos/{}", photo.id);
    let link = "a[href^='/home/write/']";
    let shown = owner.get(&edit).await;
    assert_eq!(shown.one(&format!("#shown-by-post {link}")).text(), "With a photo");
    let fields = [("alt", "Mine"), ("audience", "owner")];
    let changed = owner.post(&edit, &fields).await.header("location").to_owned();
    let changed = owner.get(&changed).await;
    assert_eq!(changed.one(&format!("#still-public[role='status'] {link}")).text(), "With a photo");
    assert!(!visitor.get(&page).await.has("#still-public"));
    let post =
        owner.open("/home/write").await.one("a[href^='/home/write/']").attr("href").to_owned();
    owner.post(&format!("{post}/withdraw"), &[]).await;
    for path in [&page, &file] {
        assert_eq!(visitor.get(path).await.status, StatusCode::NOT_FOUND);
    }
    let own = owner.get(&file).await;
    assert_eq!((own.header("cache-control"), &own.bytes), ("no-store", &private.bytes));
    assert!(!owner.get(&edit).await.has("#shown-by-post"));
}

#[tokio::test]
async fn refused_photo_opens_at_the_file() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let refused = upload(&mut owner, &[("alt", "Low sun")], b"no picture").await;
    refused.fault("file");
    assert_eq!(refused.one("[autofocus]").attr("name"), "file");
    assert!(!owner.get("/home/photos/add").await.has("[autofocus]"));
}

#[tokio::test]
async fn unusable_uploads_are_refused_and_leave_nothing() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let script = upload(&mut owner, &[("alt", "evil")], b"<svg onload=alert(1)>").await;
    let not_a_picture = script.fault("file");
    let none = upload(&mut owner, &[("alt", "nothing")], b"").await;
    let no_file = none.fault("file");
    let mut narrow =
        Browser::owner_with(&alice, WebConfig { upload_len_max: 100, ..WebConfig::default() })
            .await;
    let large = upload(&mut narrow, &[("alt", "large")], &[0; 101]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let too_large = large.shown_fault("file");
    let faults = HashSet::from([&not_a_picture, &no_file, &too_large]);
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(photos::list(&alice, &Visitor::Owner, None, 9).unwrap().is_empty());
    let stranger = upload(&mut Browser::stranger(&alice), &[("alt", "x")], &png()).await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn photo_of_a_post_can_not_be_deleted() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    upload(&mut owner, &[("alt", "Low sun")], &png()).await;
    let photo = photos::list(&alice, &Visitor::Owner, None, 9).unwrap().remove(0);
    let fields = [
        ("title", "With a photo"),
        ("text", "words"),
        ("photo[]", &photo.id.to_string()),
        ("intent", "publish"),
    ];
    let path = owner.post("/home/write", &fields).await.location();
    let post = Browser::stranger(&alice).get(&path).await;
    let image = post.one(&format!("figure img[src='/photos/{}/1600.jpg']", photo.id));
    assert_eq!(image.attr("alt"), "Low sun");
    let refused = owner.post(&format!("/home/photos/{}/delete", photo.id), &[]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let link = refused.one("#fault[role='alert'][autofocus] a[href^='/home/write/']");
    assert_eq!(link.text(), "With a photo");
    assert_eq!(photos::list(&alice, &Visitor::Owner, None, 9).unwrap().len(), 1);
}

/// The first bytes of a phone's photo (HEIC).
const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic and the rest";

#[tokio::test]
async fn unsupported_file_is_listed_downloaded_and_deleted() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    upload(&mut owner, &[("alt", "A heron")], HEIC).await.fault("file");
    let file = photos::list_unsupported(&alice).unwrap().remove(0);
    let path = format!("/home/photos/kept/{}", file.id);
    let delete = format!("{path}/delete");
    let page = owner.get("/home/photos").await;
    assert!(page.has(&format!("#unsupported a[href='{path}']")));
    let row = page.one("#unsupported li").text();
    assert!(row.contains("a.png") && row.contains("HEIC"), "{row}");
    assert!(row.contains(&HEIC.len().to_string()), "{row}");
    let file = owner.get(&path).await;
    assert_eq!(
        (file.bytes.as_slice(), file.header("content-type")),
        (HEIC, "application/octet-stream")
    );
    assert_eq!(file.header("content-disposition"), "attachment; filename*=UTF-8''a.png");
    let mut stranger = Browser::stranger(&alice);
    assert!(stranger.get(&path).await.location().starts_with("/login"));
    stranger.post(&delete, &[]).await;
    assert_eq!(photos::list_unsupported(&alice).unwrap().len(), 1);
    assert_eq!(owner.post(&delete, &[]).await.location(), "/home/photos");
    assert!(photos::list_unsupported(&alice).unwrap().is_empty());
    assert_eq!(owner.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn avif_is_named_and_shown_to_its_owner() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let avif = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf and the rest";
    upload(&mut owner, &[("alt", "A heron")], avif).await.fault("file");
    let row = owner.get("/home/photos").await.one("#unsupported li").text();
    assert!(row.contains("AVIF") && !row.contains("HEIC"), "{row}");
    let file = photos::list_unsupported(&alice).unwrap().remove(0);
    let shown = owner.get(&format!("/home/photos/kept/{}", file.id)).await;
    assert_eq!((shown.bytes.as_slice(), shown.header("content-type")), (&avif[..], "image/avif"));
}

/// A GIF of two frames.
const MOVING: &str = "R0lGODlhAwACAIEAAMgAAAAAAAAAAAAAACH5BAAKAAAALAAAAAADAAIAAAgGAAEIHBgQACH5BAAKAAAALAAAAAADAAIAgQAAyAAAAAAAAAAAAAgGAAEIHBgQADs=";

/// A grey JPEG; a third of its scan is cut out.
const DAMAGED: &str = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAEMuMjoyKkM6NjpLR0NPZKZsZFxcZMySmnmm8dT++u3U6eX//////////+Xp////////////////////////////wAALCAAgADABAREA/8QAFgABAQEAAAAAAAAAAAAAAAAAAgEA/8QAKxAAAgECBQIEBwEAAAAAAAAAAAERACESMUFR8GFxAyKBsTKRocHR4fFC/9oACAEBAAA/AMJGIOhLeBLn50pzGiL5lSM3ER8SLIIIjEPg5tRIESJScTlYt0oSnEYoyEmFpY5fz91SbmeBLex2T5tWEwZEY5LJDMb/AH7ZCp5Ys4EkSD9apU/CeFSJKVsXOa0QJeFJpRfPfpWEo4iDIISYPXty+tWAOOPkKBBJPOe0iZ4DhnI3tZ/zvl1rT80ZDMNktq34+e9qQjIBlkk2kkfX2v8AqtiEJBhy3AXT7mw/Jr//2Q==";

#[tokio::test]
async fn moving_and_damaged_pictures_are_marked() {
    let alice = TestNode::new("alice").await;
    let (mut owner, mut visitor) = (Browser::owner(&alice).await, Browser::stranger(&alice));
    let file = |text: &str| data_encoding::BASE64.decode(text.as_bytes()).unwrap();
    let whole = upload(&mut owner, &[("alt", "Whole")], &png()).await.location();
    assert!(!owner.get(&whole).await.has("#flaw"));
    let moving = upload(&mut owner, &[("alt", "Moving")], &file(MOVING)).await.location();
    assert!(owner.get(&moving).await.has("#flaw"));
    assert!(visitor.get("/photos").await.has("img[alt='Moving']"));
    // A damaged one is stored, and nobody sees it before its owner has looked at it.
    let damaged = upload(&mut owner, &[("alt", "Damaged")], &file(DAMAGED)).await.location();
    assert!(owner.get(&damaged).await.has("#flaw"));
    assert!(!visitor.get("/photos").await.has("img[alt='Damaged']"));
    owner.post(&damaged, &[("alt", "Damaged"), ("audience", "public")]).await;
    assert!(visitor.get("/photos").await.has("img[alt='Damaged']"));
    // The same for pictures of a draft.
    let add = "/home/photos/add?post=new";
    let moving = upload_to(&mut owner, add, &[("alt", "Moving")], &file(MOVING)).await.location();
    let page = owner.get(&moving).await;
    assert!(page.has("#flaw") && page.has("a[href^='/home/write/']"), "{moving}");
    let damaged = upload_to(&mut owner, add, &[("alt", "Grey")], &file(DAMAGED)).await.location();
    assert!(damaged.starts_with("/home/photos/") && owner.get(&damaged).await.has("#flaw"));
}

#[tokio::test]
async fn previous_photo_is_found_beyond_the_first_page() {
    let alice = TestNode::new("alice").await;
    let mut visitor = Browser::stranger(&alice);
    let mut all = Vec::new();
    for number in 0..45u8 {
        alice.clock.advance(1000);
        let audience = if number == 1 { Audience::Owner } else { Audience::Public };
        all.push(alice.store_photo(&[number; 10], b"small", audience).await);
    }
    let link = |number: usize| format!("nav a[href='/photos/{}']", all[number].slug);
    // The oldest but one is private.
    let oldest = visitor.get(&format!("/photos/{}", all[0].slug)).await;
    assert!(oldest.has(&link(2)) && !oldest.has(&link(1)));
    let back = oldest.one("nav.step a[href^='/photos?before=']").attr("href").to_owned();
    let listed = format!("main a[href='/photos/{}']", all[0].slug);
    assert!(visitor.get(&back).await.has(&listed) && !visitor.get("/photos").await.has(&listed));
    let newest = visitor.get(&format!("/photos/{}", all[44].slug)).await;
    assert!(newest.has(&link(43)) && newest.has("nav.step a[href='/photos']"));
}

#[tokio::test]
async fn private_photo_is_marked_in_its_owners_list() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let public = alice.store_photo(b"one", b"small", Audience::Public).await;
    let private = alice.store_photo(b"two", b"small", Audience::Owner).await;
    let page = owner.get("/home/photos").await;
    let mark = |photo: &photos::Photo| format!("a[href='/home/photos/{}'] .mine", photo.id);
    assert!(page.has(&mark(&private)) && !page.has(&mark(&public)));
}

#[tokio::test]
async fn first_row_is_loaded_at_once() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    upload(&mut owner, &[("alt", "Small")], &png()).await;
    for number in 0..9u8 {
        alice.clock.advance(1000);
        alice.store_photo(&[number; 10], b"small", Audience::Public).await;
    }
    let page = Browser::stranger(&alice).get("/photos").await;
    assert_eq!(page.all("main img").len(), 10);
    // Four pictures of 4:3 fill the first row.
    assert_eq!(page.all("main img[loading='lazy']").len(), 6);
    assert_eq!(page.all("main img[srcset][sizes]").len(), 9);
    // One of three pixels has one size.
    let small = page.one("main img[alt='Small']");
    assert!(!small.has_attr("srcset") && !small.has_attr("sizes"));
    assert!(page.has("head meta[name='description']"));
}

#[tokio::test]
async fn large_file_is_stored_and_streamed_whole() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let file: Vec<u8> = HEIC.iter().copied().cycle().take(700_001).collect();
    upload(&mut owner, &[("alt", "Long")], &file).await;
    let stored = photos::list_unsupported(&alice).unwrap().remove(0);
    assert_eq!(owner.get(&format!("/home/photos/kept/{}", stored.id)).await.bytes, file);
}

#[tokio::test]
async fn text_fields_of_an_upload_have_their_own_limit() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let long = "words ".repeat(20_000);
    for name in ["alt", "caption"] {
        let fields = [("alt", "x"), ("caption", "y"), ("audience", "owner")];
        let fields =
            fields.map(|(known, value)| (known, if known == name { &*long } else { value }));
        let seen = upload(&mut owner, &fields, &png()).await;
        let fault = seen.fault(name);
        assert!(fault.contains("120000") && fault.contains("1000"), "{fault}");
        for (name, value) in &fields[..2] {
            assert_eq!(seen.field(name), *value);
        }
        assert_eq!(seen.one("option[selected]").attr("value"), "owner");
        assert!(seen.has("#file-lost"));
    }
    let longest = "a".repeat(9 * 1024 * 1024);
    let seen = upload(&mut owner, &[("alt", "x"), ("caption", &longest)], &png()).await;
    assert_eq!((seen.status, &*seen.field("alt")), (StatusCode::PAYLOAD_TOO_LARGE, "x"));
    assert!(photos::list(&alice, &Visitor::Owner, None, 9).unwrap().is_empty());
}

#[tokio::test]
async fn too_large_file_keeps_the_typed_fields() {
    let alice = TestNode::new("alice").await;
    let config = WebConfig { upload_len_max: 100, ..WebConfig::default() };
    let mut owner = Browser::owner_with(&alice, config).await;
    let form = owner.get("/home/photos/add").await;
    assert_eq!(form.one("option[selected]").attr("value"), "public");
    let fields = form.all("form [name]");
    assert_eq!(fields.last().unwrap().attr("type"), "file", "all else arrives before the file");
    let typed = [("alt", "Low sun"), ("caption", "At home.\nEarly."), ("audience", "owner")];
    for (before, after) in [(&typed[..], &[][..]), (&[], &typed[..])] {
        let seen = send_parts(&mut owner, "/home/photos/add", before, &[0; 999], after).await;
        assert_eq!(seen.status, StatusCode::PAYLOAD_TOO_LARGE);
        seen.shown_fault("file");
        assert_eq!((&*seen.field("alt"), &*seen.field("caption")), (typed[0].1, typed[1].1));
        assert_eq!(seen.one("option[selected]").attr("value"), "owner");
    }
    // Nobody else sees a photo whose audience did not arrive.
    let seen = send_parts(&mut owner, "/home/photos/add", &[], &[0; 999], &[]).await;
    assert_eq!(seen.one("option[selected]").attr("value"), "owner");
    let mut owner = Browser::owner(&alice).await;
    send_parts(&mut owner, "/home/photos/add", &[("alt", "x")], &png(), &[]).await.location();
    let photo = photos::list(&alice, &Visitor::Owner, None, 9).unwrap().remove(0);
    assert_eq!(photo.audience, Audience::Owner);
}
