//! The words of an HTML text, for previews and search. Nothing here makes HTML safe to show.

mod hidden;
mod reference;

pub use hidden::is_hiding;
use hidden::{element_end, hides};
use reference::named;

/// Elements whose content is not text.
const RAW: [&str; 5] = ["script", "style", "title", "template", "noscript"];
/// Elements that begin and end a line.
const BLOCKS: [&str; 26] = [
    "address",
    "article",
    "blockquote",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];
/// Most hidden elements that are looked at. For each, the rest is searched for its end.
const HIDDEN_MAX: usize = 50;
/// Elements without content.
const VOID: [&str; 8] = ["br", "hr", "img", "wbr", "input", "meta", "link", "area"];
/// Longest character reference, in bytes.
const REFERENCE_LEN_MAX: usize = 32;

/// The words of an HTML text, a block on a line. The result is never longer than `html` by more
/// than a few bytes for each element.
pub fn to_text(html: &str) -> String {
    let mut reader = Reader {
        html,
        at: 0,
        out: String::with_capacity(html.len() / 2),
        gap: None,
        unclosed: None,
        hidden: 0,
    };
    while let Some(rest) = html.get(reader.at..).filter(|rest| !rest.is_empty()) {
        let plain = memchr::memchr2(b'<', b'&', rest.as_bytes()).unwrap_or(rest.len());
        let (text, rest) = rest.split_at(plain);
        reader.words(text);
        reader.at = reader.at.saturating_add(plain);
        if rest.starts_with('<') {
            reader.markup(rest);
        } else if !rest.is_empty() {
            reader.reference(rest);
        }
    }
    reader.out
}

/// True if nothing of an HTML text can be seen without loading anything: neither words nor a
/// picture that came with it.
pub fn is_blank(html: &str) -> bool {
    if to_text(html).contains(crate::text::is_visible) {
        return false;
    }
    let mut sources = memchr::memmem::find_iter(html.as_bytes(), b":").filter_map(|at| {
        let start = at.checked_sub(3)?;
        html.as_bytes().get(start..at)
    });
    !sources.any(|scheme| scheme.eq_ignore_ascii_case(b"cid")) && !html.contains("data:image/")
}

struct Reader<'a> {
    html: &'a str,
    at: usize,
    out: String,
    /// White space that is due before the next word.
    gap: Option<char>,
    /// A quote that is known not to occur again.
    unclosed: Option<u8>,
    /// Hidden elements that were looked at.
    hidden: usize,
}

impl Reader<'_> {
    fn words(&mut self, text: &str) {
        for c in text.chars() {
            self.character(c);
        }
    }

    fn character(&mut self, c: char) {
        if c.is_whitespace() {
            self.gap = self.gap.or(Some(' '));
            return;
        }
        if let Some(gap) = self.gap.take().filter(|_| !self.out.is_empty()) {
            self.out.push(gap);
        }
        self.out.push(c);
    }

    /// A comment, an element, or a `<` that is text.
    fn markup(&mut self, rest: &str) {
        if rest.starts_with("<!--") {
            return self.skip(rest, memchr::memmem::find(rest.as_bytes(), b"-->").map(|at| at + 3));
        }
        let is_end = rest.starts_with("</");
        let inside = rest.get(if is_end { 2 } else { 1 }..).unwrap_or_default();
        let begins_name = inside.starts_with(|c: char| c.is_ascii_alphabetic());
        let name_len = inside.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inside.len());
        let name = inside.get(..name_len).unwrap_or_default().to_ascii_lowercase();
        if !begins_name && !matches!(inside.as_bytes().first(), Some(b'!' | b'?' | b'/')) {
            self.character('<');
            return self.skip(rest, Some(1));
        }
        if BLOCKS.contains(&name.as_str()) {
            self.gap = Some('\n');
        } else if matches!(name.as_str(), "td" | "th") {
            self.gap = self.gap.or(Some(' '));
        }
        let end = self.tag_end(rest);
        let tag = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        self.skip(rest, end);
        if !is_end && self.hidden < HIDDEN_MAX && hides(tag) && !VOID.contains(&name.as_str()) {
            self.hidden = self.hidden.saturating_add(1);
            let rest = self.html.get(self.at..).unwrap_or_default();
            // Without an end tag the rest would be dropped.
            if let Some(len) = element_end(rest, &name) {
                return self.skip(rest, Some(len));
            }
        }
        if !is_end && RAW.contains(&name.as_str()) {
            let rest = self.html.get(self.at..).unwrap_or_default();
            self.skip(rest, raw_end(rest, &name));
        }
    }

    /// Moves on by `len`; without it the rest of the text is no text.
    fn skip(&mut self, rest: &str, len: Option<usize>) {
        self.at = self.at.saturating_add(len.unwrap_or(rest.len()));
    }

    /// The length of a tag with its `>`; quoted values may contain that.
    fn tag_end(&mut self, tag: &str) -> Option<usize> {
        let bytes = tag.as_bytes();
        let mut at = 0usize;
        loop {
            let found = at.checked_add(memchr::memchr3(b'>', b'"', b'\'', bytes.get(at..)?)?)?;
            let byte = *bytes.get(found)?;
            at = found.checked_add(1)?;
            if byte == b'>' {
                return Some(at);
            }
            let before = bytes.get(..found)?.trim_ascii_end();
            if !before.ends_with(b"=") || self.unclosed == Some(byte) {
                continue;
            }
            match memchr::memchr(byte, bytes.get(at..)?) {
                Some(len) => at = at.checked_add(len)?.checked_add(1)?,
                None => self.unclosed = Some(byte),
            }
        }
    }

    fn reference(&mut self, rest: &str) {
        let window = rest.as_bytes().get(1..REFERENCE_LEN_MAX.min(rest.len())).unwrap_or_default();
        let len = window.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'#');
        let len = len.unwrap_or(window.len());
        let name = rest.get(1..len.saturating_add(1)).unwrap_or_default();
        match named(name) {
            Some(c) => {
                self.character(c);
                let has_end = window.get(len) == Some(&b';');
                self.skip(rest, Some(len.saturating_add(if has_end { 2 } else { 1 })));
            }
            None => {
                self.character('&');
                self.skip(rest, Some(1));
            }
        }
    }
}

/// The length of the content of a raw element and its end tag.
fn raw_end(rest: &str, name: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    memchr::memmem::find_iter(bytes, b"</").find_map(|at| {
        let start = at.checked_add(2)?;
        let end = start.checked_add(name.len())?;
        let is_end = bytes.get(start..end)?.eq_ignore_ascii_case(name.as_bytes());
        is_end.then(|| memchr::memchr(b'>', bytes.get(end..)?)?.checked_add(end)?.checked_add(1))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_html_are_found() {
        for (html, text) in [
            ("<p>Look,\r\na <b>view</b></p>", "Look, a view"),
            ("<p>a</p><p>b</p>c<br>d", "a\nb\nc\nd"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
            ("Gr&uuml;&szlig;e &amp; &#8364; &#x20AC; &#150; &euro;", "Grüße & € € – €"),
            ("a &unknown; b & c", "a &unknown; b & c"),
            ("<style>p{}</style>a<script>if (a<b) x()</script>b", "ab"),
            ("<!-- <p> -->a<!doctype html>b", "ab"),
            ("<a title=\"x > y\">a</a><a title=it's>b</a>", "ab"),
            ("1 < 2 <3", "1 < 2 <3"),
            ("a<b", "a"),
            ("<style>never closed", ""),
            ("<!-- never closed", ""),
            ("", ""),
        ] {
            assert_eq!(to_text(html), text, "{html}");
        }
    }

    #[test]
    fn hidden_words_are_left_out() {
        for (html, text) in [
            ("a<div style=\"Display: none !important\">b<div>c</div>d</div>e", "a\ne"),
            ("a<span hidden>b</span>c", "ac"),
            ("a<span style='opacity:0'>b</span>c", "ac"),
            ("a<span style='opacity:0.5'>b</span>c", "abc"),
            ("a<span style='display:/**/none'>b</span>c", "ac"),
            ("a<div style='display:none'>never closed", "a\nnever closed"),
        ] {
            assert_eq!(to_text(html), text, "{html}");
        }
    }

    #[test]
    fn blank_html_is_noticed() {
        for html in [
            "",
            "\r\n",
            "<html><body><p>&nbsp;</p></body></html>",
            "<style>a</style>",
            "<img src='https://x.example/a.png'>",
            "<p>&#8203;\u{ad}\u{2060}</p>",
            "<div style='display:none'>a</div>",
            "<body background='https://x.example/a.png'>",
        ] {
            assert!(is_blank(html), "{html}");
        }
        for html in ["a", "<IMG src=cid:x>", "<img src='data:image/png;base64,x'>"] {
            assert!(!is_blank(html), "{html}");
        }
    }

    #[test]
    fn hostile_html_takes_linear_time() {
        for unit in
            ["<a b=\"", "<a b='\">", "<a '=\"", "<style>", "</", "&", "<!--", "<a b=\"'>", "&#1"]
        {
            let html = unit.repeat(2_000_000 / unit.len());
            assert!(to_text(&html).len() <= html.len());
        }
    }
}
