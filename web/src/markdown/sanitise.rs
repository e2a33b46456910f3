//! The sanitiser's rules: an allowlist of elements and attributes. Somebody else's texts have no
//! pictures, no links into the reader's site, and only ids with the text's own prefix.

use std::borrow::Cow;
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};
use freehold_core::slug::is_slug_letter;
use url::Url;

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
const HTML_TAGS: [&str; 20] = [
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
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "small",
    "sub",
    "summary",
    "u",
    "var",
];
const CODE_CLASS_LEN_MAX: usize = 40;

static OWNER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut rules = common(String::new());
    rules
        .add_tag_attributes("img", ["src", "title", "width", "height"])
        .url_relative(UrlRelative::PassThrough)
        .link_rel(Some("noopener"));
    rules
});

/// The rules for both. Ids begin with `prefix`.
fn common(prefix: String) -> Builder<'static> {
    let mut rules = Builder::empty();
    rules
        .add_tags(TEXT_TAGS)
        .add_tags(HTML_TAGS)
        .add_tags(["span", "ul"])
        .clean_content_tags(
            [
                "script", "style", "title", "textarea", "noscript", "template", "iframe", "svg",
                "math",
            ]
            .into(),
        )
        .add_tag_attributes("a", ["href", "title"])
        .add_tag_attributes("abbr", ["title"])
        .add_tag_attributes("img", ["alt"])
        .add_tag_attributes("code", ["class"])
        .add_tag_attributes("ol", ["start"])
        .add_tag_attributes("div", ["id"])
        .add_tag_attributes("sup", ["id"])
        .add_tag_attributes("th", ["scope"])
        .add_allowed_classes("div", ["footnote-definition"])
        .add_allowed_classes("sup", ["footnote-reference", "footnote-definition-label"])
        .add_allowed_classes("span", ["key", "remark", "task", "text"])
        .add_allowed_classes("td", ["left", "center", "right"])
        .add_allowed_classes("th", ["left", "center", "right"])
        .add_url_schemes(["http", "https", "mailto"])
        .attribute_filter(move |tag, attribute, value| {
            let is_allowed = match (tag, attribute) {
                ("code", "class") => is_language(value),
                ("img", "src") => is_own_picture(value),
                ("img", "width" | "height") | ("ol", "start") => {
                    value.len() <= 5 && value.bytes().all(|b| b.is_ascii_digit())
                }
                (_, "id") => value.starts_with(&prefix) && is_id(value),
                _ => true,
            };
            is_allowed.then_some(Cow::Borrowed(value))
        });
    for heading in ["h2", "h3", "h4", "h5", "h6"] {
        rules.add_tag_attributes(heading, ["id"]);
    }
    rules
}

/// Sanitises HTML made from a text by the owner.
pub(super) fn owner(html: &str) -> String {
    without_empty_pictures(&OWNER.clean(html).to_string())
}

/// Sanitised HTML without the pictures whose source was removed, each replaced by its alternative
/// text: a browser shows nothing, or a broken picture, for an `<img>` without `src`.
fn without_empty_pictures(html: &str) -> String {
    let (mut result, mut rest) = (String::with_capacity(html.len()), html);
    while let Some((before, tag)) = rest.split_once('<') {
        result.push_str(before);
        // A `>` within a quoted value ends no tag; sanitised text has no bare `<`.
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
            result.push_str(&alt.replace('<', "&lt;").replace('>', "&gt;"));
        } else {
            result.push('<');
            result.push_str(inside);
        }
        rest = after;
    }
    result.push_str(rest);
    result
}

/// Sanitises HTML made from somebody else's text, whose ids begin with `prefix`. Relative links are
/// resolved against `base` (RFC 3986 5.2), or removed without one, because on the reader's site
/// they lead elsewhere; those within the text stay.
pub(super) fn foreign(html: &str, prefix: &str, base: Option<Url>) -> String {
    let mut rules = common(prefix.to_owned());
    rules
        .url_relative(UrlRelative::Custom(Box::new(resolver(base))))
        .link_rel(Some("noopener nofollow ugc"));
    without_empty_pictures(&rules.clean(html).to_string())
}

fn resolver(base: Option<Url>) -> impl for<'a> Fn(&'a str) -> Option<Cow<'a, str>> {
    move |address| {
        if address.starts_with('#') {
            return Some(Cow::Borrowed(address));
        }
        let address = base.as_ref()?.join(address).ok()?;
        is_web(address.as_str()).then(|| Cow::Owned(address.into()))
    }
}

/// True for an `http` or `https` URL.
pub(super) fn is_web(address: &str) -> bool {
    let starts = |scheme: &str| {
        address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    starts("https://") || starts("http://")
}

/// True for the absolute path of a page on this site, without a host.
pub(super) fn is_within_site(address: &str) -> bool {
    address.starts_with('/') && !address.starts_with("//")
}

/// True for the path of a picture on the owner's own site.
pub(super) fn is_own_picture(address: &str) -> bool {
    let is_plain = |c: char| is_slug_letter(c) || matches!(c, '/' | '-' | '_' | '.');
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

/// An id in a text may be letters with their marks, digits and dashes. The ids of the page's own
/// elements have other forms, so that a text cannot take one over.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 120 && id.chars().all(|c| is_slug_letter(c) || c == '-')
}
