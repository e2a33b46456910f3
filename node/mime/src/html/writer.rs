//! Plain text from the tokens of an HTML text.

use super::reference::named;
use super::tokens::{Start, Token};

/// Elements that begin and end a line.
const BLOCKS: [&str; 32] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "caption",
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
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tr",
    "ul",
    "figcaption",
    "legend",
];
/// Elements with an empty line before and behind them.
const PARAGRAPHS: [&str; 13] =
    ["blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"];
/// Deepest nesting of lists that is shown.
const LISTS_MAX: usize = 8;
/// Deepest nesting of quotations that is shown.
const QUOTES_MAX: usize = 5;
/// Most empty lines that `<br>`s make.
const BREAKS_MAX: usize = 3;
/// Longest character reference, in bytes.
const REFERENCE_LEN_MAX: usize = 32;

/// Writes plain text.
#[derive(Default)]
pub(super) struct Writer {
    /// True for a text that is laid out: with empty lines, markers of lists and quotations, and the
    /// spaces of `<pre>`. False for the words alone, a block on a line.
    is_laid_out: bool,
    out: String,
    /// Line ends and spaces that are due before the next character.
    newlines: usize,
    spaces: usize,
    /// The marker that is due before the next character.
    marker: Option<String>,
    /// The open lists, outermost first: the next number, or `None` for a list without.
    lists: Vec<Option<u32>>,
    /// Open `<pre>` elements, and whether the next line end is the one behind its start tag.
    pre: usize,
    is_pre_start: bool,
    quotes: usize,
    /// The quotations that the line is in that was written last.
    written_quotes: usize,
}

impl Writer {
    pub(super) fn new(is_laid_out: bool) -> Self {
        Self { is_laid_out, ..Self::default() }
    }

    pub(super) fn token(&mut self, token: &Token<'_>) {
        match token {
            Token::Text(text) => self.text(text),
            Token::Start(start) => self.start(start),
            Token::End(name) => self.end(&name.to_ascii_lowercase()),
        }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    fn start(&mut self, start: &Start<'_>) {
        let name = start.name.to_ascii_lowercase();
        match name.as_str() {
            "br" if self.is_laid_out && self.newlines < BREAKS_MAX => {
                self.newlines = self.newlines.saturating_add(1);
                self.spaces = 0;
            }
            "br" => self.line(1),
            "td" | "th" if self.newlines == 0 && !self.out.is_empty() => {
                self.spaces = if self.is_laid_out { 2 } else { 1 };
            }
            _ => self.block(&name),
        }
        if !self.is_laid_out {
            return;
        }
        match name.as_str() {
            "blockquote" => self.quotes = self.quotes.saturating_add(1),
            "pre" => {
                self.pre = self.pre.saturating_add(1);
                self.is_pre_start = true;
            }
            "ul" | "ol" if self.lists.len() < LISTS_MAX => {
                let number = || {
                    let value = start.attributes.iter().find(|(name, _)| *name == "start");
                    value.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(1)
                };
                self.lists.push((name == "ol").then(number));
            }
            "li" => {
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}. ");
                        *number = number.saturating_add(1);
                        marker
                    }
                    _ => "- ".to_owned(),
                };
                let indent = self.lists.len().saturating_sub(1);
                self.marker = Some(format!("{}{marker}", "  ".repeat(indent)));
            }
            "hr" => {
                "---".chars().for_each(|c| self.push(c));
                self.line(1);
            }
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        self.block(name);
        match name {
            "blockquote" => self.quotes = self.quotes.saturating_sub(1),
            "pre" => self.pre = self.pre.saturating_sub(1),
            "ul" | "ol" => drop(self.lists.pop()),
            "li" => self.marker = None,
            _ => {}
        }
    }

    fn block(&mut self, name: &str) {
        let is_inner_list = matches!(name, "ul" | "ol") && !self.lists.is_empty();
        let is_item = name == "p" && self.marker.is_some();
        if self.is_laid_out && PARAGRAPHS.contains(&name) && !is_inner_list && !is_item {
            self.line(2);
        } else if BLOCKS.contains(&name) {
            self.line(1);
        }
    }

    /// Demands `count` line ends before the next character.
    fn line(&mut self, count: usize) {
        self.newlines = self.newlines.max(count);
        self.spaces = 0;
    }

    /// Text with its character references.
    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
            let (before, reference) = rest.split_at(at);
            before.chars().for_each(|c| self.character(c));
            let (c, len) = decoded(reference);
            self.character(c);
            rest = reference.get(len..).unwrap_or_default();
        }
        rest.chars().for_each(|c| self.character(c));
    }

    fn character(&mut self, c: char) {
        let is_pre = self.pre > 0;
        let is_pre_start = is_pre && std::mem::take(&mut self.is_pre_start);
        match c {
            '\r' => {}
            '\n' if is_pre_start => {}
            '\n' if is_pre => {
                self.newlines = self.newlines.saturating_add(1);
                self.spaces = 0;
            }
            _ if is_pre && c.is_whitespace() => self.spaces = self.spaces.saturating_add(1),
            _ if c.is_whitespace() => {
                if self.newlines == 0 && !self.out.is_empty() {
                    self.spaces = self.spaces.max(1);
                }
            }
            _ => self.push(c),
        }
    }

    /// Writes a character after what is due before it.
    fn push(&mut self, c: char) {
        let quotes = self.quotes.min(QUOTES_MAX);
        if self.out.is_empty() {
            self.newlines = 0;
            self.begin_line(quotes);
        } else if self.newlines > 0 {
            for line in (0..self.newlines).rev() {
                self.out.push('\n');
                if line > 0 {
                    let depth = quotes.min(self.written_quotes);
                    self.out.extend(std::iter::repeat_n('>', depth));
                }
            }
            self.newlines = 0;
            self.begin_line(quotes);
        }
        self.out.extend(std::iter::repeat_n(' ', self.spaces));
        self.spaces = 0;
        if let Some(marker) = self.marker.take() {
            self.out.push_str(&marker);
        }
        self.out.push(c);
    }

    fn begin_line(&mut self, quotes: usize) {
        self.out.extend(std::iter::repeat_n('>', quotes));
        if quotes > 0 {
            self.out.push(' ');
        }
        self.written_quotes = quotes;
    }
}

/// The character of the reference that a text begins with, and its length; else the `&`.
fn decoded(text: &str) -> (char, usize) {
    let window = text.as_bytes().get(1..REFERENCE_LEN_MAX.min(text.len())).unwrap_or_default();
    let len = window.iter().position(|b| !b.is_ascii_alphanumeric() && *b != b'#');
    let len = len.unwrap_or(window.len());
    let name = text.get(1..len.saturating_add(1)).unwrap_or_default();
    match named(name) {
        Some(c) => (c, len.saturating_add(if window.get(len) == Some(&b';') { 2 } else { 1 })),
        None => ('&', 1),
    }
}
