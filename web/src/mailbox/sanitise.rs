//! Sanitises the HTML of messages: structure and text stay; scripts, forms, styles and remote
//! sources go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use ammonia::Builder;

use super::inline_images;
use super::normalize::NormalizedHtml;

/// The limit for all inlined images of a page together, in bytes of the output. A message may name
/// one image thousands of times, so the limit counts each time. Every image once fits: 4 MiB are
/// less than 6 MiB in base64.
const INLINED_LEN_MAX: usize = 8 * 1024 * 1024;

/// Sanitises `html`. The result has no scripts, styles or forms, and no sources but `images`, which
/// came inside the message. The frame's Content-Security-Policy refuses all of them as well.
pub(super) fn clean(html: &NormalizedHtml, images: HashMap<String, String>) -> String {
    let inlined = AtomicUsize::new(0);
    let fits = move |len: usize| {
        inlined.fetch_add(len, Ordering::Relaxed).saturating_add(len) <= INLINED_LEN_MAX
    };
    Builder::default()
        .add_clean_content_tags(["title", "noscript", "svg", "math", "iframe", "object"])
        .rm_tags(["map", "area"])
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank")
        .url_schemes(["http", "https", "mailto", "cid"].into())
        .url_relative(ammonia::UrlRelative::Deny)
        .attribute_filter(move |element, attribute, value| match (element, attribute) {
            ("img", "src") => inline_images::content_id(value)
                .and_then(|id| images.get(id))
                .filter(|image| fits(image.len()))
                .map(|image| image.clone().into()),
            (_, "href" | "cite") if inline_images::content_id(value).is_some() => None,
            // Fixed sizes do not fit the width of the frame.
            ("img", "width" | "height") | (_, "background") => None,
            _ => Some(value.into()),
        })
        .clean(html.as_str())
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::super::normalize::normalize;
    use super::*;

    #[test]
    fn sanitised_html_neither_runs_nor_loads_anything() {
        let hostile = r#"<title>x</title><style>body{display:none}</style><script>alert(1)</script>
            <p onclick="alert(2)" style="position:fixed" class="x" id="main">Hello <b>you</b></p>
            <img src="https://tracker.example/p.gif" alt="a cat" width="1"><img src="cid:1" onerror="alert(3)">
            <a href="javascript:alert(4)">a</a><a href="https://ok.example/?a=1&b=2">b</a><a href="/home/settings">c</a>
            <form action="https://evil.example"><input name="password"><button>go</button></form>
            <iframe src="https://evil.example"></iframe><svg onload="alert(5)"><a xlink:href="x">s</a></svg>
            <meta http-equiv="refresh" content="0;url=https://evil.example"><base href="https://evil.example">
            <table background="https://tracker.example/b.gif"><tr><td>cell</td></tr></table>"#;
        let normalized = normalize(hostile).unwrap();
        let harmless = clean(&normalized, HashMap::new());
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
            assert!(!harmless.contains(word), "{word} in {harmless}");
        }
        for word in ["Hello <b>you</b>", "a cat", "https://ok.example/", "cell", "noopener"] {
            assert!(harmless.contains(word), "{word} not in {harmless}");
        }
        assert_eq!(normalized.remote_images, 1);
    }

    #[test]
    fn repeated_inline_image_stays_within_its_limit() {
        let normalized = normalize(&"<img src=cid:1>".repeat(10_000)).unwrap();
        let image = format!("data:image/png;base64,{}", "A".repeat(1024 * 1024));
        let page = clean(&normalized, HashMap::from([("1".to_owned(), image)]));
        assert_eq!(page.matches("data:").count(), 7);
        assert!(page.len() < INLINED_LEN_MAX + 10_000 * 64, "{} bytes", page.len());
    }
}
