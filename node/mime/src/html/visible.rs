//! The tokens of an HTML text that a reader sees: without scripts and style sheets, and without
//! the elements that the sender hides.

use super::style::{SHEET_LEN_MAX, Sheet, applies_to_screens};
use super::tokens::{Start, Token, Tokens};

/// Elements whose content is not HTML, and is not shown. `noscript` is not among them: no script
/// runs in a message, so its content is what a reader is to see.
const RAW: [&str; 8] =
    ["script", "style", "title", "textarea", "iframe", "noembed", "noframes", "xmp"];
/// Elements that are dropped with their content. `object` is not among them: no object is loaded,
/// so its content is shown in its place (HTML Standard 4.8.7).
const DROPPED: [&str; 3] = ["svg", "math", "template"];
/// Start tags that end an open drawing or formula (HTML Standard 13.2.6.5).
const BREAKOUT: [&str; 44] = [
    "b",
    "big",
    "blockquote",
    "body",
    "br",
    "center",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "embed",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "hr",
    "i",
    "img",
    "li",
    "listing",
    "menu",
    "meta",
    "nobr",
    "ol",
    "p",
    "pre",
    "ruby",
    "s",
    "small",
    "span",
    "strong",
    "strike",
    "sub",
    "sup",
    "table",
    "tt",
    "u",
    "ul",
    "var",
];
/// Elements without content (HTML Standard 13.1.2, void elements).
pub(super) const VOID: [&str; 13] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];
/// Elements that are never hidden: nothing would be left.
const WHOLE: [&str; 3] = ["html", "head", "body"];
/// Elements in a line of text.
const INLINE: [&str; 2] = ["span", "font"];
/// Start tags that end an open paragraph (HTML Standard 13.2.6.4.7).
const BLOCKS: [&str; 26] = [
    "article",
    "aside",
    "blockquote",
    "center",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figure",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "ul",
    "li",
];
const ROWS: [&str; 4] = ["tr", "tbody", "thead", "tfoot"];
/// How often an element that nothing closes may be read a second time, to be shown.
const UNCLOSED_MAX: usize = 4;

/// An iterator over the visible tokens of an HTML text.
pub struct Visible<'a> {
    tokens: Tokens<'a>,
    sheet: Sheet,
    /// The element that is dropped, if the next token is in one.
    dropped: Option<Dropped<'a>>,
    /// How many hidden elements had no end.
    unclosed: usize,
}

struct Dropped<'a> {
    start: Start<'a>,
    /// Open elements of its name, itself included.
    depth: usize,
    /// Open tables or lists inside it, whose cells or items do not end it.
    scopes: usize,
    /// The tokens behind its start tag.
    after: Tokens<'a>,
}

impl<'a> Visible<'a> {
    /// The visible tokens of a whole text.
    pub fn of(html: &'a str) -> Self {
        let sheet = if has_style(html) { sheet(html) } else { Sheet::default() };
        Self { tokens: Tokens::of(html), sheet, dropped: None, unclosed: 0 }
    }

    /// Applies the styles to an element. True if the token after `start` is the first that is
    /// dropped with it.
    fn drops(&self, start: &mut Start<'a>) -> bool {
        let styles = self.sheet.declarations(start);
        start.is_struck = styles.strike();
        let is_dropped = is_one(&DROPPED, start.name) && !start.is_closed;
        let is_hidden = !is_one(&WHOLE, start.name) && styles.hide(is_one(&INLINE, start.name));
        self.unclosed < UNCLOSED_MAX && (is_dropped || is_hidden)
    }
}

impl<'a> Iterator for Visible<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let Some(token) = self.tokens.next() else {
                // Without an end the rest of the text would be dropped.
                let dropped = self.dropped.take()?;
                self.unclosed = self.unclosed.saturating_add(1);
                self.tokens = dropped.after;
                return Some(Token::Start(dropped.start));
            };
            if let Token::Start(start) = &token
                && is_one(&RAW, start.name)
                // In a drawing `<title/>` is an element without content.
                && !(start.is_closed && self.dropped.is_some())
            {
                self.tokens.skip_to_end_of(start.name);
                continue;
            }
            match self.dropped.as_mut().map(|dropped| dropped.ends_at(&token)) {
                Some(End::No) => continue,
                Some(End::Behind) => {
                    self.dropped = None;
                    continue;
                }
                Some(End::Before) => self.dropped = None,
                None => {}
            }
            let Token::Start(mut start) = token else { return Some(token) };
            if !self.drops(&mut start) {
                return Some(Token::Start(start));
            }
            if !is_one(&VOID, start.name) {
                let after = self.tokens.clone();
                self.dropped = Some(Dropped { start, depth: 1, scopes: 0, after });
            }
        }
    }
}

/// Where a dropped element ends.
enum End {
    No,
    Before,
    Behind,
}

impl Dropped<'_> {
    fn ends_at(&mut self, token: &Token<'_>) -> End {
        let own = self.start.name;
        let is_cell = is_one(&["td", "th"], own);
        let is_row = is_one(&ROWS, own);
        let is_tr = is_one(&["tr"], own);
        let is_item = is_one(&["li", "dd", "dt"], own);
        let is_paragraph = own.eq_ignore_ascii_case("p");
        let is_foreign = is_one(&["svg", "math"], own);
        let scope = |name: &str| {
            (is_cell || is_row || is_item || is_paragraph) && is_one(&["table"], name)
                || is_item && is_one(&["ul", "ol", "dl"], name)
        };
        match token {
            Token::Text(_) => End::No,
            Token::Start(start) => {
                let name = start.name;
                let is_sibling = is_paragraph && is_one(&BLOCKS, name)
                    || is_cell && (is_one(&["td", "th"], name) || is_one(&ROWS, name))
                    || is_row && is_one(&ROWS, name) && (is_tr || !is_one(&["tr"], name))
                    || is_item && is_one(&["li", "dd", "dt"], name);
                if self.scopes == 0 && is_sibling || is_foreign && is_one(&BREAKOUT, name) {
                    return End::Before;
                }
                if scope(name) {
                    self.scopes = self.scopes.saturating_add(1);
                } else if name.eq_ignore_ascii_case(own) && self.scopes == 0 {
                    self.depth = self.depth.saturating_add(1);
                }
                End::No
            }
            Token::End(name) => {
                let ends_parent = (is_cell || is_row) && is_one(&["table"], name)
                    || is_cell && is_one(&ROWS, name)
                    || is_tr && is_one(&["tbody", "thead", "tfoot"], name)
                    || is_item && is_one(&["ul", "ol", "dl"], name);
                let breaks_out = is_foreign && is_one(&["p", "br"], name);
                if is_one(&["body", "html"], name) || self.scopes == 0 && ends_parent || breaks_out
                {
                    return End::Before;
                }
                if scope(name) {
                    self.scopes = self.scopes.saturating_sub(1);
                } else if name.eq_ignore_ascii_case(own) && self.scopes == 0 {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return End::Behind;
                    }
                }
                End::No
            }
        }
    }
}

fn is_one(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// True if the text may have a style sheet.
fn has_style(html: &str) -> bool {
    let bytes = html.as_bytes();
    memchr::memchr_iter(b'<', bytes).any(|at| {
        let name = at.checked_add(1).and_then(|at| bytes.get(at..at.checked_add(5)?));
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"style"))
    })
}

/// The rules of all style sheets of a text: one at its end applies to the beginning as well.
fn sheet(html: &str) -> Sheet {
    let mut sheet = Sheet::default();
    let mut left = SHEET_LEN_MAX;
    let mut tokens = Tokens::of(html);
    while let Some(token) = tokens.next() {
        let Token::Start(start) = token else { continue };
        if !is_one(&RAW, start.name) {
            continue;
        }
        let content = tokens.skip_to_end_of(start.name);
        let media = start.attributes.iter().find(|(name, _)| *name == "media");
        if is_one(&["style"], start.name)
            && media.is_none_or(|(_, media)| applies_to_screens(media))
        {
            let css = content.get(..content.floor_char_boundary(left)).unwrap_or_default();
            left = left.saturating_sub(css.len());
            sheet.read(css);
        }
    }
    sheet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(html: &str) -> String {
        let words = Visible::of(html).filter_map(|token| match token {
            Token::Text(text) => Some(text),
            Token::Start(_) | Token::End(_) => None,
        });
        words.collect()
    }

    #[test]
    fn hidden_elements_end_where_the_standard_says() {
        for (html, words) in [
            ("<p hidden>a<p>b", "b"),
            ("<p hidden>a<table><tr><td><p>b</table>c</p>d", "bcd"),
            ("<div hidden>a<table></div>b", "b"),
            ("<div hidden>a<p>b</p></div>c", "c"),
            ("<div hidden>a<div>b</div>c</div>d", "d"),
            ("<table><tr><td hidden>a<td>b</table>c", "bc"),
            ("<table><tr><td hidden>a<table><tr><td>b</td></tr></table>c</td><td>d</table>", "d"),
            ("<table><tr hidden><td>a<td>b<tr><td>c</table>", "c"),
            ("<table><tbody hidden><tr><td>a<tr><td>b</tbody><tr><td>c</table>", "c"),
            ("<table hidden><tr><td><table><tr><td>a</table>b</table>c", "c"),
            ("<ul><li hidden>a<ul><li>b</ul>c<li>d</ul>", "d"),
            ("<ul><li hidden>a</ul>b", "b"),
            ("<body><div hidden>a</body>", ""),
            ("<div hidden>never closed", "never closed"),
            ("<div hidden>a<div>b</div>c", "abc"),
            ("<img hidden alt=x>a", "a"),
            ("<body hidden>a", "a"),
            ("<svg><title/><text>a</text></svg>b", "b"),
            ("<p>u<svg></p><style>x</style><p>v</p>w</svg>x", "uvwx"),
            ("<svg><text>a</text><div>b</div></svg>c", "bc"),
            ("<math><mi>a</mi><table><tr><td>b</table></math>c", "bc"),
            ("<div hidden><script>'</div>'</script>a</div>b", "b"),
        ] {
            assert_eq!(text(html), words, "{html}");
        }
    }

    #[test]
    fn style_sheet_anywhere_hides_elements() {
        for (html, words) in [
            ("<style>.a{display:none}</style><div class=a>pre</div>b", "b"),
            ("<div class=a>pre</div>b<STYLE>.a{display:none}</STYLE>", "b"),
            ("<style media=print>.a{display:none}</style><div class=a>b</div>", "b"),
            ("<!--<style>.a{display:none}</style>--><div class=a>b</div>", "b"),
            ("<style>.a{display:none}", ""),
        ] {
            assert_eq!(text(html), words, "{html}");
        }
    }

    #[test]
    fn content_for_readers_without_scripts_is_shown() {
        assert_eq!(text("<noscript>a</noscript><object data=x><p>b</p></object>"), "ab");
        assert_eq!(text("<video src=x>c</video><script>d</script><iframe>e</iframe>f"), "cf");
    }

    #[test]
    fn hostile_elements_take_linear_time() {
        for unit in [
            "<div hidden>",
            "<p hidden>",
            "<div hidden></p>",
            "<style>",
            "<style></style>",
            "<svg>",
            "<td hidden><table>",
            "<b class='a b c d e f g h'>",
            "<b style='a:b;a:b;a:b'>",
        ] {
            let html = unit.repeat(500_000 / unit.len());
            assert!(Visible::of(&html).count() <= html.len());
        }
    }
}
