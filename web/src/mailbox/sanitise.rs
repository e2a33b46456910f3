//! HTML letters made harmless: structure and words stay, everything that acts, loads or dresses goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ammonia::Builder;

/// A letter fit to be shown in its frame.
pub(super) struct Harmless {
    pub(super) html: String,
    /// How many pictures from elsewhere were left out.
    pub(super) pictures: usize,
}

/// Cleans `html`. What remains has no scripts, styles, forms or sources; the frame's own policy would refuse them too.
pub(super) fn clean(html: &str) -> Harmless {
    let pictures = Arc::new(AtomicUsize::new(0));
    let counted = pictures.clone();
    let html = Builder::default()
        .add_clean_content_tags(["title", "noscript", "svg", "math", "iframe", "object"])
        .rm_tags(["map", "area"])
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank")
        .url_schemes(["http", "https", "mailto"].into())
        .url_relative(ammonia::UrlRelative::Deny)
        .attribute_filter(move |element, attribute, value| match (element, attribute) {
            ("img", "src") => {
                if value.starts_with("http") {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                None
            }
            // Sizes of pictures that are not shown would only leave holes.
            ("img", "width" | "height") | (_, "background") => None,
            _ => Some(value.into()),
        })
        .clean(html)
        .to_string();
    Harmless { html, pictures: pictures.load(Ordering::Relaxed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_or_loads_survives() {
        let hostile = r#"<title>x</title><style>body{display:none}</style><script>alert(1)</script>
            <p onclick="alert(2)" style="position:fixed" class="x" id="main">Hello <b>you</b></p>
            <img src="https://tracker.example/p.gif" alt="a cat" width="1"><img src="cid:1" onerror="alert(3)">
            <a href="javascript:alert(4)">a</a><a href="https://ok.example/?a=1&b=2">b</a><a href="/home/settings">c</a>
            <form action="https://evil.example"><input name="password"><button>go</button></form>
            <iframe src="https://evil.example"></iframe><svg onload="alert(5)"><a xlink:href="x">s</a></svg>
            <meta http-equiv="refresh" content="0;url=https://evil.example"><base href="https://evil.example">
            <table background="https://tracker.example/b.gif"><tr><td>cell</td></tr></table>"#;
        let harmless = clean(hostile);
        let bad = [
            "script",
            "alert",
            "style",
            "onclick",
            "onerror",
            "tracker",
            "javascript",
            "form",
            "input",
            "iframe",
            "svg",
            "meta",
            "base",
            "/home/settings",
            "class=",
            "id=",
        ];
        for word in bad {
            assert!(!harmless.html.contains(word), "{word} in {}", harmless.html);
        }
        for word in ["Hello <b>you</b>", "a cat", "https://ok.example/", "cell", "noopener"] {
            assert!(harmless.html.contains(word), "{word} not in {}", harmless.html);
        }
        assert_eq!(harmless.pictures, 1);
    }
}
