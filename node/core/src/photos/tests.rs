use image::{ImageFormat, RgbImage};

use super::*;
use crate::audience::Visitor;
use crate::node::Node;
use crate::row;
use crate::store::StoreError;
use crate::testing::TestNode;

fn picture(format: ImageFormat) -> Vec<u8> {
    let picture =
        RgbImage::from_fn(800, 600, |x, y| image::Rgb([(x % 256) as u8, (y % 256) as u8, 90]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

async fn upload(
    node: &Node,
    bytes: &[u8],
    name: &str,
    audience: Audience,
) -> Result<Photo, AddError> {
    let mut writer = upload_writer(node).unwrap();
    for part in bytes.chunks(1000) {
        writer.write(part).unwrap();
    }
    let file = writer.finish().unwrap();
    add(
        node,
        Upload { file, file_name: name.into(), alt: String::new(), caption: "x".into(), audience },
    )
    .await
}

#[tokio::test]
async fn original_is_stored_unchanged_with_its_renditions() {
    let alice = TestNode::new("alice").await;
    let bytes = picture(ImageFormat::Png);
    let photo =
        upload(&alice, &bytes, "C:\\pictures\\The Hill.png", Audience::Public).await.unwrap();
    assert_eq!(
        (photo.slug.as_str(), photo.file_name.as_str(), photo.media_type.as_str()),
        ("the-hill", "The Hill.png", "image/png")
    );
    assert_eq!((photo.width, photo.height), (800, 600));
    assert_eq!(
        (photo.large.width, photo.large.height, photo.small.width, photo.small.height),
        (800, 600, 400, 300)
    );
    let original = original_bytes(&alice, &Visitor::Owner, photo.id).unwrap().unwrap();
    assert_eq!(original.read_all(10_000_000).unwrap(), bytes);
    for size in [Size::Large, Size::Small] {
        let (rendition, reader) =
            image_bytes(&alice, &Visitor::Stranger, photo.id, size).unwrap().unwrap();
        let jpeg = reader.read_all(10_000_000).unwrap();
        assert_eq!(jpeg.len() as u64, rendition.len);
        assert_eq!(image::load_from_memory(&jpeg).unwrap().width(), rendition.width);
    }
    let second = upload(&alice, &bytes, "the hill.png", Audience::Public).await.unwrap();
    assert_eq!(second.slug, "the-hill-2");
    assert_eq!(by_slug(&alice, &Visitor::Stranger, "the-hill-2").unwrap(), Some(second.clone()));
    alice.clock.advance(1);
    let third = upload(&alice, &bytes, "x.png", Audience::Public).await.unwrap();
    let newest = list(&alice, &Visitor::Stranger, None, 1).unwrap();
    assert_eq!(newest, [third]);
    assert_eq!(list(&alice, &Visitor::Stranger, newest.first(), 10).unwrap().len(), 2);
}

#[tokio::test]
async fn original_and_private_photos_are_read_by_owner_only() {
    let alice = TestNode::new("alice").await;
    let public =
        upload(&alice, &picture(ImageFormat::Jpeg), "a.jpg", Audience::Public).await.unwrap();
    let own = upload(&alice, &picture(ImageFormat::Gif), "b.gif", Audience::Owner).await.unwrap();
    assert!(original_bytes(&alice, &Visitor::Stranger, public.id).unwrap().is_none());
    assert!(shared_blob(&alice, &Visitor::Stranger, &public.original).unwrap().is_none());
    assert!(shared_blob(&alice, &Visitor::Stranger, &public.large.blob).unwrap().is_some());
    assert!(shared_blob(&alice, &Visitor::Stranger, &own.large.blob).unwrap().is_none());
    assert!(shared_blob(&alice, &Visitor::Owner, &own.large.blob).unwrap().is_some());
    assert!(image_bytes(&alice, &Visitor::Stranger, own.id, Size::Large).unwrap().is_none());
    assert!(by_slug(&alice, &Visitor::Stranger, &own.slug).unwrap().is_none());
    assert_eq!(list(&alice, &Visitor::Stranger, None, 10).unwrap(), [public]);
    assert_eq!(list(&alice, &Visitor::Owner, None, 10).unwrap().len(), 2);
}

#[tokio::test]
async fn refused_upload_adds_no_photo() {
    let alice = TestNode::new("alice").await;
    let mut damaged = picture(ImageFormat::Png);
    damaged.truncate(damaged.len() / 2);
    for bad in [&b"not a picture"[..], b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", &damaged]
    {
        assert!(matches!(
            upload(&alice, bad, "a.jpg", Audience::Public).await,
            Err(AddError::Rendition(_))
        ));
    }
    assert_eq!(list(&alice, &Visitor::Owner, None, 10).unwrap(), []);
    assert!(upload_writer(&alice).unwrap().write(&vec![0; FILE_LEN_MAX as usize + 1]).is_err());
}

#[tokio::test]
async fn heic_file_is_stored_as_unsupported() {
    let alice = TestNode::new("alice").await;
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    let refused = upload(&alice, heic, "a.heic", Audience::Public).await;
    assert!(matches!(refused, Err(AddError::StoredUnsupported { .. })), "{refused:?}");
    let all = list_unsupported(&alice).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(
        unsupported_bytes(&alice, all[0].id).unwrap().unwrap().read_all(1000).unwrap(),
        heic
    );
    delete_unsupported(&alice, all[0].id).await.unwrap();
    assert_eq!(list_unsupported(&alice).unwrap(), []);
}

#[tokio::test]
async fn latest_audience_decides_access() {
    let alice = TestNode::new("alice").await;
    let photo = alice.store_photo(&[1; 300_000], &[2; 20_000], Audience::Public).await;
    let is_shown = || {
        [Size::Large, Size::Small].map(|size| {
            let image = image_bytes(&alice, &Visitor::Stranger, photo.id, size).unwrap();
            let blob = shared_blob(&alice, &Visitor::Stranger, &photo.rendition(size).blob);
            assert_eq!(image.is_some(), blob.unwrap().is_some());
            assert!(image_bytes(&alice, &Visitor::Owner, photo.id, size).unwrap().is_some());
            image.is_some()
        }) == [true; 2]
    };
    assert!(is_shown());
    for audience in [Audience::Owner, Audience::Public, Audience::Owner] {
        let is_public = audience == Audience::Public;
        change(&alice, photo.id, String::new(), String::new(), audience).await.unwrap();
        assert_eq!(is_shown(), is_public);
    }
    // A photo of another audience shares its renditions.
    let other = alice.store_photo(&[1; 300_000], &[2; 20_000], Audience::Public).await;
    assert_eq!(other.large.blob, photo.large.blob);
    assert!(shared_blob(&alice, &Visitor::Stranger, &photo.large.blob).unwrap().is_some());
    delete(&alice, other.id).await.unwrap();
    crate::erasure::unlink(&alice).unwrap();
    assert!(!is_shown());
}

#[tokio::test]
async fn photo_is_deleted_only_without_a_reference() {
    let alice = TestNode::new("alice").await;
    let photo =
        upload(&alice, &picture(ImageFormat::WebP), "a.webp", Audience::Public).await.unwrap();
    let changed =
        change(&alice, photo.id, "a hill".into(), String::new(), Audience::Owner).await.unwrap();
    assert_eq!((changed.alt.as_str(), changed.slug.as_str()), ("a hill", "a"));
    assert!(matches!(
        change(&alice, photo.id, "x".repeat(1001), String::new(), Audience::Owner).await,
        Err(ChangeError::TooLong { .. })
    ));
    alice.store.commit(move |tx| add_references(tx, &[1; 16], &[photo.id], true)).await.unwrap();
    assert_eq!(delete(&alice, photo.id).await, Err(ChangeError::InUse));
    // A photo that a published post shows is visible with the post.
    assert!(shared_blob(&alice, &Visitor::Stranger, &photo.large.blob).unwrap().is_some());
    alice
        .store
        .commit(move |tx| {
            remove_references(tx, &[1; 16], &[photo.id]);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    delete(&alice, photo.id).await.unwrap();
    assert_eq!(delete(&alice, photo.id).await, Err(ChangeError::NoSuchPhoto));
    assert!(shared_blob(&alice, &Visitor::Owner, &photo.large.blob).unwrap().is_none());
    assert!(by_slug(&alice, &Visitor::Owner, "a").unwrap().is_none());
}

#[tokio::test]
async fn older_photo_gets_its_medium_size() {
    let alice = TestNode::new("alice").await;
    let wide = RgbImage::from_fn(1200, 900, |x, y| image::Rgb([(x / 5) as u8, (y / 4) as u8, 90]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    wide.write_to(&mut bytes, ImageFormat::Png).unwrap();
    let new = upload(&alice, bytes.get_ref(), "a.png", Audience::Public).await.unwrap();
    let medium = new.medium.unwrap();
    assert_eq!((medium.width, medium.height), (800, 600));
    upload(&alice, &picture(ImageFormat::Png), "small.png", Audience::Public).await.unwrap();
    // As an earlier version stored it.
    let older = Photo { medium: None, ..new.clone() };
    let id = older.id;
    alice
        .store
        .commit(move |tx| row::put_referring(tx, &id.0, &older, &older.blobs()))
        .await
        .unwrap();
    assert_eq!(add_medium_sizes(&alice).await.unwrap(), 1);
    let photo = by_id(&alice, &Visitor::Stranger, id).unwrap().unwrap();
    let medium = photo.medium.unwrap();
    assert_eq!(Photo { medium: new.medium, ..photo.clone() }, new);
    let (found, reader) =
        image_bytes(&alice, &Visitor::Stranger, id, Size::Medium).unwrap().unwrap();
    assert_eq!((found, reader.len(), found.width), (medium, medium.len, 800));
    assert_eq!(add_medium_sizes(&alice).await.unwrap(), 0);
    delete(&alice, id).await.unwrap();
    crate::erasure::unlink(&alice).unwrap();
    for blob in photo.blobs() {
        assert!(shared_blob(&alice, &Visitor::Owner, &blob).unwrap().is_none());
        assert!(!alice.blobs.contains(&blob).unwrap());
    }
}

#[tokio::test]
async fn damaged_photo_is_added_for_its_owner_alone() {
    let alice = TestNode::new("alice").await;
    let mut jpeg = picture(ImageFormat::Jpeg);
    jpeg.drain(jpeg.len() / 3..jpeg.len() / 2);
    let photo = upload(&alice, &jpeg, "a.jpg", Audience::Public).await.unwrap();
    assert_eq!((photo.flaw, photo.audience), (Some(Flaw::Damaged), Audience::Owner));
    // The owner's choice counts, and the photo stays known as damaged.
    let shown =
        change(&alice, photo.id, "a".into(), String::new(), Audience::Public).await.unwrap();
    assert_eq!((shown.flaw, shown.audience), (Some(Flaw::Damaged), Audience::Public));
}

#[tokio::test]
async fn next_newer_photo_is_the_next_visible_one() {
    let alice = TestNode::new("alice").await;
    let mut all = Vec::new();
    for number in 0..30u8 {
        alice.clock.advance(1);
        let is_shown = number % 15 == 0 || number == 29;
        let audience = if is_shown { Audience::Public } else { Audience::Owner };
        all.push(alice.store_photo(&[number; 9], b"small", audience).await);
    }
    let newer = |visitor: &Visitor, at: usize| {
        newer(&alice, visitor, &all[at]).unwrap().map(|photo| photo.id)
    };
    assert_eq!(newer(&Visitor::Stranger, 0), Some(all[15].id));
    assert_eq!(newer(&Visitor::Stranger, 3), Some(all[15].id));
    assert_eq!(newer(&Visitor::Stranger, 15), Some(all[29].id));
    assert_eq!(newer(&Visitor::Stranger, 29), None);
    assert_eq!(newer(&Visitor::Owner, 0), Some(all[1].id));
}
