//! The names of HTML's elements. A "tag" with another name, as in `Vec<String>` or `x<y but y>z`,
//! was not meant as HTML: it is text.

use std::borrow::Cow;

/// The elements of HTML (section 4), the obsolete ones that browsers know (16.2), and the roots of
/// SVG and MathML; sorted.
const ELEMENTS: [&str; 148] = [
    "a",
    "abbr",
    "acronym",
    "address",
    "applet",
    "area",
    "article",
    "aside",
    "audio",
    "b",
    "base",
    "basefont",
    "bdi",
    "bdo",
    "bgsound",
    "big",
    "blink",
    "blockquote",
    "body",
    "br",
    "button",
    "canvas",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "command",
    "content",
    "data",
    "datalist",
    "dd",
    "del",
    "details",
    "dfn",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "em",
    "embed",
    "fencedframe",
    "fieldset",
    "figcaption",
    "figure",
    "font",
    "footer",
    "form",
    "frame",
    "frameset",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hgroup",
    "hr",
    "html",
    "i",
    "iframe",
    "image",
    "img",
    "input",
    "ins",
    "isindex",
    "kbd",
    "keygen",
    "label",
    "legend",
    "li",
    "link",
    "listing",
    "main",
    "map",
    "mark",
    "marquee",
    "math",
    "menu",
    "menuitem",
    "meta",
    "meter",
    "multicol",
    "nav",
    "nextid",
    "nobr",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "ol",
    "optgroup",
    "option",
    "output",
    "p",
    "param",
    "picture",
    "plaintext",
    "portal",
    "pre",
    "progress",
    "q",
    "rb",
    "rp",
    "rt",
    "rtc",
    "ruby",
    "s",
    "samp",
    "script",
    "search",
    "section",
    "select",
    "slot",
    "small",
    "source",
    "spacer",
    "span",
    "strike",
    "strong",
    "style",
    "sub",
    "summary",
    "sup",
    "svg",
    "table",
    "tbody",
    "td",
    "template",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "track",
    "tt",
    "u",
    "ul",
    "var",
    "video",
    "wbr",
    "xmp",
];

/// True for the name of an element, in any case.
fn is_element(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ELEMENTS.binary_search(&name.as_str()).is_ok()
}

/// `html` with the `<` of each tag escaped whose name is no element's.
pub fn unknown_tags_escaped(html: &str) -> Cow<'_, str> {
    let (mut escaped, mut rest) = (String::new(), html);
    let mut is_changed = false;
    while let Some((before, tag)) = rest.split_once('<') {
        escaped.push_str(before);
        let is_unknown = is_unknown_tag(tag);
        is_changed |= is_unknown;
        escaped.push_str(if is_unknown { "&lt;" } else { "<" });
        rest = tag;
    }
    if !is_changed {
        return Cow::Borrowed(html);
    }
    escaped.push_str(rest);
    Cow::Owned(escaped)
}

/// True if `tag`, the text after a `<`, begins a start or end tag of an unknown element.
pub fn is_unknown_tag(tag: &str) -> bool {
    let inside = tag.strip_prefix('/').unwrap_or(tag);
    // Longer names are no element's; looking at all of them would cost more than linear time.
    let name_len = inside
        .bytes()
        .take(ELEMENT_LEN_MAX + 1)
        .take_while(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b'>'))
        .count();
    let begins_a_name = inside.starts_with(|c: char| c.is_ascii_alphabetic());
    begins_a_name && !inside.get(..name_len).is_some_and(is_element)
}

/// The length of the longest name.
const ELEMENT_LEN_MAX: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_names_are_sorted_and_found_in_any_case() {
        assert!(ELEMENTS.is_sorted());
        assert_eq!(ELEMENTS.iter().map(|name| name.len()).max(), Some(ELEMENT_LEN_MAX));
        assert!(is_element("Blockquote") && is_element("h1") && !is_element("String"));
    }

    #[test]
    fn unknown_tags_become_text_and_known_ones_stay() {
        for (html, escaped) in [
            ("x<y but y>z", "x&lt;y but y>z"),
            ("Vec<String> </String>", "Vec&lt;String> &lt;/String>"),
            ("<b>bold</b> <!-- a --> <?x> < 3 <3", "<b>bold</b> <!-- a --> <?x> < 3 <3"),
            ("<fencedframes><é", "&lt;fencedframes><é"),
            ("<aé>", "&lt;aé>"),
        ] {
            assert_eq!(unknown_tags_escaped(html), escaped);
        }
    }
}
