//! Damaged input to the readers of this crate: refused or read, never a panic.

use crate::friends::Invite;
use crate::testing::fuzz::fuzz;
use crate::{markdown, photos};

fn text(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

#[test]
fn damaged_invites_are_refused_or_read() {
    let corpus = [
        b"http://alice.localhost:7080/i#AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_vec(),
        include_bytes!("../tests/vectors/invite.json").to_vec(),
    ];
    fuzz("invites", &corpus, |input| drop(text(input).parse::<Invite>()));
}

#[test]
fn any_markdown_is_rendered() {
    let post = "# Head\n\nA [link](https://a.example \"t\") *and* **more** ~~of~~ `it`.\n\n| a | b |\n|--|:-:|\n| 1 | ![x](y.jpg) |\n\n\
        1. one\n   - two\n     > three\n\n[^1]: note\n\n```rust\nfn main() {}\n```\n<b onclick=x>raw</b> &amp; <!-- no -->\n\n- [ ] done[^1]\n";
    let corpus = [
        post.as_bytes().to_vec(),
        b"**_`[(<".repeat(30),
        b"> - 1. ".repeat(40),
        "ä\u{202e}\u{0}é\r\n\r\n".repeat(9).into(),
    ];
    fuzz("markdown", &corpus, |input| {
        let text = text(input);
        let html = markdown::render_foreign(&text, "p");
        for forbidden in ["<script", "<iframe", "<object", "<style"] {
            assert!(!html.as_str().to_ascii_lowercase().contains(forbidden), "{forbidden}");
        }
        let _ = (markdown::render(&text), markdown::summary(&text, 200), markdown::minutes(&text));
    });
}

#[test]
fn damaged_photo_is_refused_or_decoded() {
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
        drop(photos::renditions::make(input))
    });
}
