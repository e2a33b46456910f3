//! The words of an HTML text, for previews and search. Nothing here makes HTML safe to show.

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
/// The names of the characters U+00A0 to U+00FF.
const LATIN: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf",
    "laquo", "not", "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro",
    "para", "middot", "cedil", "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest",
    "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute",
    "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH", "Ntilde", "Ograve", "Oacute",
    "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute",
    "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil",
    "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde",
    "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave", "uacute", "ucirc",
    "uuml", "yacute", "thorn", "yuml",
];
/// Other named characters that mail uses.
const NAMED: [(&str, char); 34] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("euro", '€'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("hellip", '…'),
    ("bull", '•'),
    ("trade", '™'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'),
    ("lsaquo", '‹'),
    ("rsaquo", '›'),
    ("OElig", 'Œ'),
    ("oelig", 'œ'),
    ("Scaron", 'Š'),
    ("scaron", 'š'),
    ("Yuml", 'Ÿ'),
    ("minus", '−'),
    ("rarr", '→'),
    ("larr", '←'),
    ("check", '✓'),
    ("star", '☆'),
];
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

/// True if a `style` attribute hides its element.
pub fn is_hiding(style: &str) -> bool {
    let mut plain = String::with_capacity(style.len());
    let mut rest = style;
    while let Some((before, comment)) = rest.split_once("/*") {
        plain.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain.to_ascii_lowercase().split(';').filter_map(|rule| rule.split_once(':')).any(
        |(name, value)| {
            let value = value.trim().trim_end_matches("!important").trim();
            let is_zero = matches!(value, "0" | "0px" | "0pt" | "0em" | "0%" | "0.0");
            match name.trim() {
                "display" => value == "none",
                "visibility" => value == "hidden",
                "opacity" | "font-size" | "max-height" => is_zero,
                "mso-hide" => value == "all",
                _ => false,
            }
        },
    )
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

/// True for a start tag whose element is hidden.
fn hides(tag: &str) -> bool {
    let lower = tag.to_ascii_lowercase();
    if let Some((_, style)) = lower.split_once("style") {
        let value = style.trim_start().strip_prefix('=').unwrap_or_default().trim_start();
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value.get(1..).and_then(|v| v.split(quote).next()),
            _ => value.split(|c: char| c.is_whitespace() || c == '>').next(),
        };
        if value.is_some_and(is_hiding) {
            return true;
        }
    }
    let is_end = |c: char| c.is_whitespace() || matches!(c, '>' | '=' | '/');
    lower.split_once(" hidden").is_some_and(|(_, after)| after.starts_with(is_end))
}

/// The length of the content of an element with its end tag; elements of the same name may be
/// inside.
fn element_end(rest: &str, name: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut depth = 1usize;
    for at in memchr::memchr_iter(b'<', bytes) {
        let after = bytes.get(at.checked_add(1)?..)?;
        let (is_end, after) =
            after.strip_prefix(b"/").map_or((false, after), |after| (true, after));
        let is_same = after.get(..name.len())?.eq_ignore_ascii_case(name.as_bytes())
            && after.get(name.len()).is_some_and(|byte| !byte.is_ascii_alphanumeric());
        if !is_same {
            continue;
        }
        depth = if is_end { depth.checked_sub(1)? } else { depth.saturating_add(1) };
        if depth == 0 {
            let tag_end = memchr::memchr(b'>', bytes.get(at..)?)?;
            return at.checked_add(tag_end)?.checked_add(1);
        }
    }
    None
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

/// The character of a reference without `&` and `;`.
fn named(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        // HTML 13.2.5.80: these numbers mean windows-1252.
        if let Ok(byte @ 0x80..=0x9f) = u8::try_from(code) {
            return encoding_rs::WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next();
        }
        return char::from_u32(code).filter(|c| *c != '\0');
    }
    if let Some((_, c)) = NAMED.iter().find(|(known, _)| *known == name) {
        return Some(*c);
    }
    let at = LATIN.iter().position(|known| *known == name)?;
    char::from_u32(u32::try_from(at).ok()?.checked_add(0xa0)?)
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
