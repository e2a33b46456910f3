//! HTML letters made harmless: structure and words stay, everything that acts, loads or dresses
//! goes.

use std::collections::HashMap;

use ammonia::Builder;

use super::inside;
use super::straighten::Straight;

/// Cleans `html`. What remains has no scripts, styles or forms, and no sources but the `pictures`
/// that came with the letter; the frame's own policy would refuse them too.
pub(super) fn clean(html: &Straight, pictures: HashMap<String, String>) -> String {
    Builder::default()
        .add_clean_content_tags(["title", "noscript", "svg", "math", "iframe", "object"])
        .rm_tags(["map", "area"])
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank")
        .url_schemes(["http", "https", "mailto", "cid"].into())
        .url_relative(ammonia::UrlRelative::Deny)
        .attribute_filter(move |element, attribute, value| match (element, attribute) {
            ("img", "src") => inside::id_of(value)
                .and_then(|id| pictures.get(id))
                .map(|picture| picture.clone().into()),
            (_, "href" | "cite") if inside::id_of(value).is_some() => None,
            // Sizes are for a page as wide as theirs.
            ("img", "width" | "height") | (_, "background") => None,
            _ => Some(value.into()),
        })
        .clean(html.as_str())
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::super::straighten::straighten;
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
        let straight = straighten(hostile).unwrap();
        let harmless = clean(&straight, HashMap::new());
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
        assert_eq!(straight.pictures, 1);
    }
}
