//! The sanitiser's rules: an allowlist for the owner's own texts and a shorter one for everybody
//! else's.

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
        .clean_content_tags(
            [
                "script", "style", "title", "textarea", "noscript", "template", "iframe", "svg",
                "math",
            ]
            .into(),
        )
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
                ("img", "width" | "height") | ("ol", "start") => {
                    value.len() <= 5 && value.bytes().all(|b| b.is_ascii_digit())
                }
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
    without_hollow(&OWN.clean(html).to_string())
}

/// Clean HTML without the pictures that have lost their source, each replaced by its words: an
/// empty `<img>` says nothing, or shows a broken one.
fn without_hollow(html: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(html.len()), html);
    while let Some((before, tag)) = rest.split_once('<') {
        kept.push_str(before);
        // A `>` in a quoted value ends no tag; in text there is no bare `<`.
        let mut is_quoted = false;
        let end = tag.char_indices().find(|(_, c)| {
            is_quoted ^= *c == '"';
            *c == '>' && !is_quoted
        });
        let (inside, after) = tag.split_at(end.map_or(tag.len(), |(at, _)| at + 1));
        if inside.starts_with("img ") && !inside.contains(" src=\"") || inside == "img>" {
            let alt = inside
                .split_once(" alt=\"")
                .and_then(|(_, alt)| alt.split_once('"'))
                .map_or("", |(alt, _)| alt);
            kept.push_str(&alt.replace('<', "&lt;").replace('>', "&gt;"));
        } else {
            kept.push('<');
            kept.push_str(inside);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// The words of a piece of HTML as it would be shown, as plain text.
pub(super) fn words(html: &str) -> String {
    let (mut words, mut is_inside) = (String::new(), false);
    for c in text().clean(html).to_string().chars() {
        match c {
            '<' => is_inside = true,
            '>' => is_inside = false,
            _ if is_inside => {}
            _ => words.push(c),
        }
    }
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&nbsp;", " "), ("&amp;", "&")]
        .iter()
        .fold(words, |words, (written, meant)| words.replace(written, meant))
}

pub(super) fn other(html: &str) -> String {
    OTHER.clean(html).to_string()
}

fn within(url: &str) -> Option<Cow<'_, str>> {
    url.starts_with('#').then_some(Cow::Borrowed(url))
}

/// Whether an address leads into the web.
pub(super) fn is_web(address: &str) -> bool {
    let starts = |scheme: &str| {
        address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    starts("https://") || starts("http://")
}

/// Whether an address leads to a place on the site that shows it.
pub(super) fn is_within_the_site(address: &str) -> bool {
    address.starts_with('/') && !address.starts_with("//")
}

/// Whether an address is that of a picture on the owner's own site.
pub(super) fn is_own_picture(address: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
    address.starts_with("/photos/")
        && address.chars().all(is_plain)
        && !address.contains("..")
        && !address.contains("//")
}

fn is_language(class: &str) -> bool {
    let is_plain = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'#' | b'_' | b'.'))
    };
    class.len() <= CODE_CLASS_LEN_MAX && class.strip_prefix("language-").is_some_and(is_plain)
}

/// An id may be a word with dashes; that of a page's own parts begins otherwise, so none can be
/// taken over.
fn is_name(id: &str) -> bool {
    !id.is_empty() && id.len() <= 120 && id.chars().all(|c| c.is_alphanumeric() || c == '-')
}
