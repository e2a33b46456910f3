//! Sanitises the HTML of messages: structure and text stay; scripts, forms, styles and remote
//! sources go.

use std::collections::HashMap;

use ammonia::Builder;

use super::normalize::{NormalizedHtml, fragment, is_data_picture};

/// Sanitises `html`. The result has no scripts, styles or forms, and no sources but the addresses
/// of `pictures`, by the sources that the normalised HTML has. The frame's Content-Security-Policy
/// refuses all of them as well. The ids of the sender are alone in the document of the frame.
pub(super) fn clean(html: &NormalizedHtml, pictures: HashMap<String, String>) -> String {
    Builder::default()
        .add_clean_content_tags(["title", "noscript", "svg", "math", "iframe", "object"])
        .rm_tags(["map", "area"])
        .add_generic_attributes(["dir", "id"])
        .add_tag_attributes("a", ["name", "target"])
        .add_tag_attributes("ol", ["reversed", "type"])
        .add_tag_attributes("ul", ["type"])
        .add_tag_attributes("li", ["type", "value"])
        .link_rel(Some("noopener noreferrer nofollow"))
        .url_schemes(["http", "https", "mailto", "cid", "data", "remote"].into())
        // The filter below lets no relative address of the sender pass.
        .url_relative(ammonia::UrlRelative::PassThrough)
        .attribute_filter(move |element, attribute, value| match (element, attribute) {
            ("img", "src") if is_data_picture(value) => Some(value.into()),
            ("img", "src") => pictures.get(value).map(|address| address.clone().into()),
            (_, "src") => None,
            ("a", "href") if fragment(value).is_some() => Some(value.into()),
            (_, "href" | "cite") if !is_absolute(value) => None,
            (_, "target") if value != "_self" => None,
            // Fixed sizes do not fit the width of the frame.
            ("img", "width" | "height") | (_, "background") => None,
            _ => Some(value.into()),
        })
        .clean(html.as_str())
        .to_string()
}

/// True for an address that a link may have.
fn is_absolute(address: &str) -> bool {
    let scheme = address.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https" | "mailto"))
}

#[cfg(test)]
mod tests {
    use super::super::normalize::normalize;
    use super::super::parsed::ParsedMessage;
    use super::super::pictures::Pictures;
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
            <a href="//evil.example/x">d</a><a href="login">e</a><a href="cid:1">f</a><img src="/home/mail/1/1/pictures/1">
            <img src="data:image/svg+xml;base64,AAAA"><img src="data:text/html,evil"><a href="data:image/png;base64,AAAA">g</a>
            <table background="https://tracker.example/b.gif"><tr><td>cell</td></tr></table>"#;
        let normalized = normalize(hostile, &Pictures::default()).unwrap();
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
            "//evil",
            "login",
            "cid:",
            "pictures",
            "data:",
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
    fn repeated_picture_is_written_once_each_time() {
        let message = "Content-ID: <1>\r\nContent-Type: image/gif\r\n\r\nGIF89a";
        let pictures =
            Pictures::of(&ParsedMessage::of(message.into()), freehold_mime::Structure::ROOT);
        let normalized = normalize(&"<img src=cid:1>".repeat(10_000), &pictures).unwrap();
        assert_eq!(normalized.pictures, [0].into());
        let page = clean(&normalized, HashMap::from([("cid:0".to_owned(), "/a".to_owned())]));
        assert_eq!(page.matches("src=\"/a\"").count(), 10_000);
        assert!(page.len() < 10_000 * 64, "{} bytes", page.len());
    }

    #[test]
    fn jumps_numbers_and_struck_text_are_kept() {
        let html = "<a href='#1'>x</a><a name=1>y</a><h2 id=top>z</h2><a href='#top'>w</a>\
            <a href='https://a.example/' target=_self>v</a>\
            <ol type=a start=3 reversed><li value=7>u</ol>\
            <s>1</s><strike>2</strike><del>3</del>\
            <span style='text-decoration: line-through'>4</span>";
        let page = clean(&normalize(html, &Pictures::default()).unwrap(), HashMap::new());
        for kept in [
            "href=\"#1\" target=\"_self\"",
            "name=\"1\"",
            "<h2 id=\"top\">",
            "href=\"#top\"",
            "<a href=\"https://a.example/\" rel=",
            "start=\"3\"",
            "type=\"a\"",
            "reversed",
            "<li value=\"7\">",
            "<s>1</s><strike>2</strike><del>3</del>",
            "<span><s>4</s></span>",
        ] {
            assert!(page.contains(kept), "{kept} not in {page}");
        }
    }

    #[test]
    fn direction_is_kept() {
        let html = "<body dir=rtl><p dir=RTL>\u{5e9}</p><p dir=x>a</p>";
        let normalized = normalize(html, &Pictures::default()).unwrap();
        assert_eq!(normalized.direction, Some("rtl"));
        assert!(clean(&normalized, HashMap::new()).contains("<p dir=\"RTL\">"));
    }
}
