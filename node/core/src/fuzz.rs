//! Damaged input to the readers of this crate: an error or a value, never a panic.

use std::io::Cursor;

use crate::friends::Invite;
use crate::photos::renditions::Memory;
use crate::testing::fuzz::fuzz;
use crate::{photos, text};

fn utf8(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

#[test]
fn damaged_invites_are_refused_or_read() {
    let corpus = [
        b"http://alice.localhost:7080/i#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_vec(),
        include_bytes!("../tests/vectors/invite.json").to_vec(),
    ];
    fuzz("invites", &corpus, |input| drop(utf8(input).parse::<Invite>()));
}

#[test]
fn damaged_markdown_has_a_bounded_summary() {
    let post = "# Head\n\nA [link](https://a.example) *and* `it` &mdash; &#x26;.\n\n[^1]: note\n\n\
        <div title=\"a > b\">\n<svg>x</svg> raw &amp; <!-- no -->\n</div>\n\n- [ ] done[^1]\n";
    let corpus = [post.as_bytes().to_vec(), b"<p>&amp;<b ".repeat(300)];
    fuzz("summaries", &corpus, |input| {
        let text = utf8(input);
        assert!(text::summary(&text, 200).chars().count() <= 200);
        text::reading_minutes(&text);
    });
}

#[test]
fn damaged_picture_is_refused_or_rendered() {
    let picture = image::DynamicImage::ImageRgb8(image::RgbImage::from_fn(48, 32, |x, y| {
        image::Rgb([x as u8 * 5, y as u8 * 7, 99])
    }));
    let encoded = |format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    use image::ImageFormat::{Gif, Jpeg, Png, WebP};
    fuzz("pictures", &[Jpeg, Png, WebP, Gif].map(encoded), |input| {
        let (mut file, memory) = (Cursor::new(input), Memory::UNLIMITED);
        drop(photos::renditions::make(&mut file, memory))
    });
}
