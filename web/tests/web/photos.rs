//! Hanging photos, looking at them, keeping some to oneself.

use axum::body::Body;
use axum::http::{StatusCode, header};
use freehold_core::audience::Visitor;
use freehold_core::photos;
use freehold_core::testing::TestNode;
use freehold_web::WebConfig;

use crate::browser::{Browser, Seen};

const BOUNDARY: &str = "----boundary";

/// A small picture, made here: a PNG of three by two pixels.
pub(crate) fn png() -> Vec<u8> {
    data_encoding::BASE64.decode(PNG.as_bytes()).unwrap()
}

/// 3 × 2 pixels, eight-bit RGB.
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
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
            .into_bytes(),
        );
    }
    body.extend(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n").into_bytes());
    body.extend(file);
    body.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = owner
        .request("POST", path)
        .header(header::CONTENT_TYPE, kind)
        .body(Body::from(body))
        .unwrap();
    owner.send(request).await
}

#[tokio::test]
async fn a_photo_is_hung_and_seen_by_anyone() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let seen = upload(
        &mut owner,
        &[("alt", "Low sun <over> it"), ("caption", "Before breakfast.")],
        &png(),
    )
    .await;
    assert!(seen.location().starts_with("/home/photos/"));
    let photo = photos::list(&alice, &Visitor::Stranger, None, 9).unwrap().remove(0);
    let mut visitor = Browser::stranger(&alice);
    assert!(visitor.get("/photos").await.text().contains(&format!("/photos/{}", photo.slug)));
    let page = visitor.get(&format!("/photos/{}", photo.slug)).await.text();
    assert!(
        page.contains("Low sun &#60;over&#62; it") && page.contains("Before breakfast."),
        "{page}"
    );
    assert_eq!(
        visitor.get(&format!("/photos/{}", photo.id)).await.location(),
        format!("/photos/{}", photo.slug)
    );
    for size in ["400.jpg", "1600.jpg"] {
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
async fn a_photo_kept_to_oneself_is_not_found_by_anyone_else() {
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
async fn a_photo_kept_to_oneself_is_seen_with_the_post_that_shows_it_and_no_longer() {
    let alice = TestNode::new("alice").await;
    let (mut owner, mut visitor) = (Browser::owner(&alice).await, Browser::stranger(&alice));
    upload(&mut owner, &[("alt", "Mine"), ("audience", "owner")], &png()).await;
    let photo = photos::list(&alice, &Visitor::Owner, None, 9).unwrap().remove(0);
    let (page, file) = (format!("/photos/{}", photo.slug), format!("/photos/{}/400.jpg", photo.id));
    assert_eq!(visitor.get(&file).await.status, StatusCode::NOT_FOUND);
    let kept = owner.get(&file).await;
    assert!(
        owner.get("/home/write").await.text().contains("Also a photo that only you see so far")
    );
    let fields = [
        ("title", "With a photo"),
        ("text", "words"),
        ("photo[]", &photo.id.to_string()),
        ("then", "publish"),
    ];
    let path = owner.post("/home/write", &fields).await.location();
    assert!(visitor.get(&path).await.text().contains(&file));
    // Sealed still, then not: the same bytes, and caches may keep them now.
    for settled in [false, true] {
        if settled {
            photos::apply_at_rest(&alice).unwrap();
        }
        let seen = visitor.get(&file).await;
        assert_eq!(
            (seen.header("cache-control"), &seen.bytes),
            ("public, max-age=86400", &kept.bytes)
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
    }
    assert!(visitor.get(&page).await.text().contains("Mine"));
    assert!(!visitor.get("/photos").await.text().contains("Mine"), "it hangs on no wall");
    let edit = format!("/home/photos/{}", photo.id);
    assert!(owner.get(&edit).await.text().contains("A published post shows this photo"));
    let post = owner.get("/home/write").await.text();
    let at = post.find("/home/write/").unwrap();
    let desk = post[at..].split('"').next().unwrap().to_owned();
    owner.post(&format!("{desk}/withdraw"), &[]).await;
    for path in [&page, &file] {
        assert_eq!(visitor.get(path).await.status, StatusCode::NOT_FOUND);
    }
    photos::apply_at_rest(&alice).unwrap();
    let own = owner.get(&file).await;
    assert_eq!((own.header("cache-control"), &own.bytes), ("no-store", &kept.bytes));
    assert!(!owner.get(&edit).await.text().contains("A published post shows this photo"));
}

#[tokio::test]
async fn what_is_no_picture_or_too_large_is_refused_and_leaves_nothing() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let script = upload(&mut owner, &[("alt", "evil")], b"<svg onload=alert(1)>").await;
    assert_eq!(script.status, StatusCode::UNPROCESSABLE_ENTITY);
    let none = upload(&mut owner, &[("alt", "nothing")], b"").await;
    assert!(none.text().contains("Choose a file first."));
    let mut narrow =
        Browser::owner_with(&alice, WebConfig { upload_len_max: 100, ..WebConfig::default() })
            .await;
    let large = upload(&mut narrow, &[("alt", "large")], &[0; 101]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(photos::list(&alice, &Visitor::Owner, None, 9).unwrap().is_empty());
    let stranger = upload(&mut Browser::stranger(&alice), &[("alt", "x")], &png()).await;
    assert_eq!(stranger.location(), "/login");
}

#[tokio::test]
async fn a_photo_chosen_at_the_desk_stands_in_the_post_and_can_not_be_taken_down_meanwhile() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    upload(&mut owner, &[("alt", "Low sun")], &png()).await;
    let photo = photos::list(&alice, &Visitor::Owner, None, 9).unwrap().remove(0);
    let fields = [
        ("title", "With a photo"),
        ("text", "words"),
        ("photo[]", &photo.id.to_string()),
        ("then", "publish"),
    ];
    let path = owner.post("/home/write", &fields).await.location();
    let post = Browser::stranger(&alice).get(&path).await.text();
    assert!(
        post.contains(&format!("/photos/{}/1600.jpg", photo.id))
            && post.contains("alt=\"Low sun\""),
        "{post}"
    );
    let refused = owner.post(&format!("/home/photos/{}/delete", photo.id), &[]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("Take it out of the post first."));
}

/// The first bytes of what a telephone makes.
const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic and the rest";

#[tokio::test]
async fn what_can_not_be_shown_is_listed_saved_as_it_came_and_deleted() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let said = upload(&mut owner, &[("alt", "A heron")], HEIC).await;
    assert!(said.text().contains("your photos list it"), "{}", said.text());
    let kept = photos::list_unsupported(&alice).unwrap().remove(0);
    let (path, gone) =
        (format!("/home/photos/kept/{}", kept.id), format!("/home/photos/kept/{}/delete", kept.id));
    let page = owner.get("/home/photos").await.text();
    assert!(
        page.contains(&path)
            && page.contains(&format!("HEIC, {} bytes", HEIC.len()))
            && page.contains("as they came"),
        "{page}"
    );
    let file = owner.get(&path).await;
    assert_eq!(
        (file.bytes.as_slice(), file.header("content-type")),
        (HEIC, "application/octet-stream")
    );
    assert_eq!(file.header("content-disposition"), "attachment; filename*=UTF-8''a.png");
    let mut stranger = Browser::stranger(&alice);
    assert!(stranger.get(&path).await.location().starts_with("/login"));
    stranger.post(&gone, &[]).await;
    assert_eq!(photos::list_unsupported(&alice).unwrap().len(), 1);
    assert_eq!(owner.post(&gone, &[]).await.location(), "/home/photos");
    assert!(photos::list_unsupported(&alice).unwrap().is_empty());
    assert_eq!(owner.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_file_of_many_pieces_comes_and_goes_whole() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let file: Vec<u8> = HEIC.iter().copied().cycle().take(700_001).collect();
    upload(&mut owner, &[("alt", "Long")], &file).await;
    let kept = photos::list_unsupported(&alice).unwrap().remove(0);
    assert_eq!(owner.get(&format!("/home/photos/kept/{}", kept.id)).await.bytes, file);
}

#[tokio::test]
async fn what_is_said_about_a_photo_is_not_gathered_for_as_long_as_a_file_may_be() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let long = "words ".repeat(20_000);
    let seen = upload(&mut owner, &[("alt", &long)], &png()).await;
    assert_eq!(seen.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(photos::list(&alice, &Visitor::Owner, None, 9).unwrap().is_empty());
}
