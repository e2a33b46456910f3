//! The sanitiser's rules: an allowlist for the owner's own texts and a shorter one for everybody else's.

use std::borrow::Cow;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

const TEXT_TAGS: [&str; 30] = [
    "a",
    "b",
    "blockquote",
    "br",
    "code",
    "del",
    "div",
    "dd",
    "dl",
    "dt",
    "em",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "li",
    "ol",
    "p",
    "pre",
    "strong",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
];
const OWN_TAGS: [&str; 17] = [
    "abbr",
    "cite",
    "details",
    "figcaption",
    "figure",
    "img",
    "ins",
    "kbd",
    "mark",
    "q",
    "s",
    "samp",
    "small",
    "sub",
    "summary",
    "u",
    "var",
];
const CODE_CLASS_LEN_MAX: usize = 40;

static OWN: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut rules = text();
    rules
        .add_tags(OWN_TAGS)
        .add_tag_attributes("img", ["src", "alt", "title", "width", "height"])
        .add_tag_attributes("abbr", ["title"])
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some("noopener"));
    rules
});

static OTHER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut rules = text();
    rules
        // Links to places in the text itself stay; those into the reader's own site go.
        .url_relative(UrlRelative::Custom(Box::new(within)))
        .link_rel(Some("noopener nofollow ugc"));
    rules
});

fn text() -> Builder<'static> {
    let mut rules = Builder::empty();
    rules
        .add_tags(TEXT_TAGS)
        .add_tags(["span", "ul"])
        .clean_content_tags(["script", "style", "title", "textarea", "noscript", "template", "iframe", "svg", "math"].into())
        .add_tag_attributes("a", ["href", "title"])
        .add_tag_attributes("code", ["class"])
        .add_tag_attributes("ol", ["start"])
        .add_tag_attributes("div", ["id"])
        .add_tag_attributes("th", ["scope"])
        .add_allowed_classes("div", ["footnote-definition"])
        .add_allowed_classes("sup", ["footnote-reference", "footnote-definition-label"])
        .add_allowed_classes("span", ["key", "remark", "text"])
        .add_allowed_classes("td", ["left", "center", "right"])
        .add_allowed_classes("th", ["left", "center", "right"])
        .add_url_schemes(["http", "https", "mailto"])
        .attribute_filter(|tag, attribute, value| {
            let is_kept = match (tag, attribute) {
                ("code", "class") => is_language(value),
                ("img", "src") => is_own_picture(value),
                ("img", "width" | "height") | ("ol", "start") => value.len() <= 5 && value.bytes().all(|b| b.is_ascii_digit()),
                (_, "id") => is_name(value),
                _ => true,
            };
            is_kept.then_some(Cow::Borrowed(value))
        });
    for heading in ["h2", "h3", "h4", "h5", "h6"] {
        rules.add_tag_attributes(heading, ["id"]);
    }
    rules
}

pub(super) fn own(html: &str) -> String {
    OWN.clean(html).to_string()
}

pub(super) fn other(html: &str) -> String {
    OTHER.clean(html).to_string()
}

fn within(url: &str) -> Option<Cow<'_, str>> {
    url.starts_with('#').then_some(Cow::Borrowed(url))
}

/// Whether an address is that of a picture on the owner's own site.
pub(super) fn is_own_picture(address: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    address.starts_with("/photos/") && address.chars().all(is_plain) && !address.contains("..") && !address.contains("//")
}

fn is_language(class: &str) -> bool {
    let is_plain =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'#' | b'_' | b'.'));
    class.len() <= CODE_CLASS_LEN_MAX && class.strip_prefix("language-").is_some_and(is_plain)
}

/// An id may be a word with dashes; that of a page's own parts begins otherwise, so none can be taken over.
fn is_name(id: &str) -> bool {
    !id.is_empty() && id.len() <= 120 && id.chars().all(|c| c.is_alphanumeric() || c == '-')
}
