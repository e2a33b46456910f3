//! The plain text of an HTML block in a post: tags and comments removed, character references
//! decoded. The result is text, never markup: every page escapes it.

use pulldown_cmark::{Event, Parser};

use super::elements::is_unknown_tag;

/// Elements whose content is not text of the page; it is left out with them. The web crate's
/// sanitiser removes the content of the same elements.
const HIDDEN: [&str; 9] =
    ["script", "style", "title", "textarea", "noscript", "template", "iframe", "svg", "math"];
/// The longest character reference, in bytes: the longest name in HTML's table has 31, with `&` and
/// `;` around it.
const REFERENCE_LEN_MAX: usize = 33;

/// The element with hidden content that this start tag begins, if it begins one.
pub(super) fn hidden_element(tag: &str) -> Option<&'static str> {
    let inside = tag.strip_prefix('<')?;
    let len = inside.find(is_name_end).unwrap_or(inside.len());
    let name = inside.get(..len)?;
    let hidden = HIDDEN.iter().find(|hidden| name.eq_ignore_ascii_case(hidden))?;
    // Only elements of SVG and MathML can be self-closing.
    let is_empty = matches!(*hidden, "svg" | "math") && tag.ends_with("/>");
    (!is_empty).then_some(hidden)
}

/// True for a character that ends the name of a tag (HTML, 13.2.5.8 "Tag name state").
fn is_name_end(c: char) -> bool {
    c.is_ascii_whitespace() || matches!(c, '/' | '>')
}

/// True for the end tag of `element`.
pub(super) fn is_end_of(element: &str, tag: &str) -> bool {
    let name = tag.strip_prefix("</").unwrap_or_default();
    let (start, rest) = name.split_at_checked(element.len()).unwrap_or_default();
    start.eq_ignore_ascii_case(element) && rest.starts_with(is_name_end)
}

/// The text of a piece of HTML, in linear time. Once it is longer than `len_max` bytes, the rest is
/// left out.
pub(super) fn plain_text(html: &str, len_max: usize) -> String {
    let (mut text, mut rest) = (String::new(), html);
    while let Some(at) = rest.find(['<', '&']).filter(|_| text.len() <= len_max) {
        let (before, markup) = rest.split_at(at);
        text.push_str(before);
        let (piece, after) = match markup.starts_with('&') {
            true => reference(markup),
            false => tag(markup),
        };
        text.push_str(&piece);
        rest = after;
    }
    if text.len() <= len_max {
        text.push_str(rest);
    }
    text.retain(|c| c != '\0');
    text
}

/// The character reference that `markup` begins with, decoded, and the text after it; a `&` that
/// begins no reference is itself.
fn reference(markup: &str) -> (String, &str) {
    let end = markup.bytes().take(REFERENCE_LEN_MAX).position(|byte| byte == b';');
    let found = end.and_then(|end| markup.split_at_checked(end + 1));
    let Some((written, after)) = found else { return literal(markup) };
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '#';
    if !written.trim_matches(['&', ';']).chars().all(is_name) {
        return literal(markup);
    }
    // CommonMark's references are HTML's, so its parser has the table of names.
    let decoded = Parser::new(written).filter_map(|event| match event {
        Event::Text(text) => Some(text.into_string()),
        _ => None,
    });
    (decoded.collect(), after)
}

/// Skips the tag or comment that `markup` begins with, and the content of a hidden element; a `<`
/// that begins neither is itself (HTML, 13.2.5.6 "Tag open state").
fn tag(markup: &str) -> (String, &str) {
    let none = String::new();
    if let Some(comment) = markup.strip_prefix("<!--") {
        return (none, comment.split_once("-->").map_or("", |(_, after)| after));
    }
    let inside = markup.strip_prefix("</").or(markup.strip_prefix('<')).unwrap_or_default();
    if !inside.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let is_bogus_comment = markup.starts_with("</") || inside.starts_with(['!', '?']);
        if !is_bogus_comment {
            return literal(markup);
        }
        return (none, inside.split_once('>').map_or("", |(_, after)| after));
    }
    if is_unknown_tag(markup.strip_prefix('<').unwrap_or_default()) {
        return literal(markup);
    }
    let Some(after) = after_tag(inside) else { return (none, "") };
    match markup.strip_suffix(after).and_then(hidden_element) {
        Some(element) => (none, after_element(after, element)),
        None => (none, after),
    }
}

fn literal(markup: &str) -> (String, &str) {
    let (first, after) = markup.split_at(1);
    (first.to_owned(), after)
}

/// The text after the `>` that ends a tag; a `>` within a quoted attribute value ends none.
fn after_tag(inside: &str) -> Option<&str> {
    let mut quote = None;
    let mut last = ' ';
    for (at, c) in inside.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '>' => return inside.get(at + 1..),
            None if matches!(c, '"' | '\'') && last == '=' => quote = Some(c),
            None => {}
        }
        if !c.is_ascii_whitespace() {
            last = c;
        }
    }
    None
}

/// The text after the end tag of `element`; nothing if there is none.
fn after_element<'a>(content: &'a str, element: &str) -> &'a str {
    let mut rest = content;
    while let Some((_, end)) = rest.split_once("</") {
        let name = end.get(..element.len()).unwrap_or_default();
        let after = end.get(element.len()..).unwrap_or_default();
        let is_whole = after.starts_with(is_name_end);
        if name.eq_ignore_ascii_case(element) && is_whole {
            return after_tag(after).unwrap_or_default();
        }
        rest = end;
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_comments_and_hidden_elements_leave_no_text() {
        for (html, text) in [
            ("<p title=\"a > b\">one<br>two</p>", "onetwo"),
            ("a <!-- b --> c <!d> e </> f <?g> h", "a  c  e  f  h"),
            ("1 < 2 <3 <", "1 < 2 <3 <"),
            ("a<script>if (b</c>0) {}</SCRIPT >d<style>e", "ad"),
            ("a<svg><text>b</text></svg>c</svg>d<svg/>e", "acde"),
            ("a\0b", "ab"),
            ("a<scripted>b</scripted>", "a<scripted>b</scripted>"),
            ("Vec<String>", "Vec<String>"),
            ("a<!-- b", "a"),
            ("a<b title='c", "a"),
        ] {
            assert_eq!(plain_text(html, 1000), text, "{html}");
        }
    }

    #[test]
    fn character_references_are_decoded_and_stray_ampersands_kept() {
        for (html, text) in [
            ("Jam &amp; bread &mdash; &#233;t&#xE9;", "Jam & bread — été"),
            ("a &lt;b&gt; &quot;c&quot;", "a <b> \"c\""),
            ("&amp;lt;", "&lt;"),
            ("a & b; &nosuch; &;", "a & b; &nosuch; &;"),
            ("&CounterClockwiseContourIntegral;", "∳"),
            ("&ä;&", "&ä;&"),
        ] {
            assert_eq!(plain_text(html, 1000), text, "{html}");
        }
    }
}
