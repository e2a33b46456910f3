//! Normalises a stranger's HTML before the sanitiser parses it: every element is closed, nesting is
//! bounded, and tables hold nothing outside their cells.
//!
//! A parser that follows the HTML Standard spends on each tag as many steps as elements are open,
//! moves misplaced content of tables past all its siblings, and reopens unclosed `<b>`s in every
//! paragraph: a small message can cost it minutes. The output of this module can't: each tag costs
//! at most [`DEPTH_MAX`] steps, and there are at most [`TAGS_MAX`]. The output is not safe; the
//! sanitiser runs afterwards.

use super::inline_images;
use super::tokens::{Start, Token, Tokens};

/// Longer HTML is refused, in bytes.
pub(super) const HTML_LEN_MAX: usize = 1024 * 1024;
/// HTML with more tags is refused; a long newsletter has ten thousand.
const TAGS_MAX: usize = 50_000;
/// The deepest nesting of elements; a deeper element loses its tags and keeps its text.
const DEPTH_MAX: usize = 200;
/// The depth a table needs: itself, its body, a row, a cell.
const TABLE_DEPTH: usize = 4;

/// Elements that pass.
const ALLOWED: &str = "a abbr acronym article aside b bdi bdo blockquote br caption center cite code dd del details dfn div dl dt em \
    figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li mark ol p pre q rp rt ruby s samp section small span strike \
    strong sub summary sup table tbody td tfoot th thead tr tt u ul var wbr";
/// Elements without content (HTML Standard 13.1.2, void elements).
const VOID: &str = "br hr img wbr";
/// Elements whose start tag closes an open paragraph.
const BLOCKS: &str = "article aside blockquote center dd details div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hr li ol p \
    pre section summary table ul";
/// Elements whose content is not HTML and is dropped.
const RAW: &str = "script style title textarea noscript iframe noembed noframes xmp";
/// Elements that are dropped with their content.
const DROPPED: &str = "svg math object template";
const HEADINGS: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];
/// Elements of a table outside its cells.
const BETWEEN_CELLS: [&str; 5] = ["table", "tbody", "thead", "tfoot", "tr"];
/// Elements that no end tag and no new paragraph inside them closes past.
const SCOPES: [&str; 4] = ["table", "td", "th", "caption"];

/// HTML that is cheap to parse.
#[derive(Debug, Default)]
pub(super) struct NormalizedHtml {
    html: String,
    open: Vec<&'static str>,
    /// Number of dropped images with a remote source.
    pub(super) remote_images: usize,
}

/// Normalises `html`; `None` if it is longer than [`HTML_LEN_MAX`] or has more than [`TAGS_MAX`]
/// tags.
pub(super) fn normalize(html: &str) -> Option<NormalizedHtml> {
    if html.len() > HTML_LEN_MAX {
        return None;
    }
    let (mut normalized, mut tokens) = (NormalizedHtml::default(), Tokens::of(html));
    // The dropped element around the current token, and the nesting of elements of that name.
    let mut dropped: Option<(&str, usize)> = None;
    let mut tags = 0;
    while let Some(token) = tokens.next() {
        tags += usize::from(!matches!(token, Token::Text(_)));
        if tags > TAGS_MAX {
            return None;
        }
        if let Some((name, depth)) = &mut dropped {
            match token {
                Token::Start(start)
                    if start.name.eq_ignore_ascii_case(name) && !start.is_closed =>
                {
                    *depth += 1
                }
                Token::End(end) if end.eq_ignore_ascii_case(name) => *depth -= 1,
                _ => {}
            }
            if *depth == 0 {
                dropped = None;
            }
            continue;
        }
        match token {
            Token::Text(text) => normalized.text(text),
            Token::End(name) => normalized.end(name),
            Token::Start(start) => {
                if let Some(name) = one_of(RAW, start.name) {
                    tokens.skip_to_end_of(name);
                } else if let Some(name) = one_of(DROPPED, start.name) {
                    dropped = (!start.is_closed).then_some((name, 1));
                } else {
                    normalized.start(&start);
                }
            }
        }
    }
    normalized.close_down_to(0);
    Some(normalized)
}

/// The entry of `names` that equals `name` without regard to case.
fn one_of(names: &'static str, name: &str) -> Option<&'static str> {
    names.split(' ').find(|known| known.eq_ignore_ascii_case(name))
}

impl NormalizedHtml {
    /// The markup.
    pub(super) fn as_str(&self) -> &str {
        &self.html
    }

    fn text(&mut self, text: &str) {
        if !self.is_in(&BETWEEN_CELLS) || !text.trim_ascii().is_empty() {
            self.enter_cell();
            self.html.push_str(&text.replace('<', "&lt;"));
        }
    }

    fn start(&mut self, start: &Start<'_>) {
        let Some(name) = one_of(ALLOWED, start.name) else { return };
        self.close_before(name);
        if !self.open_parents(name) {
            return;
        }
        if name == "img"
            && start.attributes.iter().any(|(name, value)| *name == "src" && is_remote(value))
        {
            self.remote_images += 1;
        }
        let source = start
            .attributes
            .iter()
            .find(|(name, value)| *name == "src" && inline_images::content_id(value).is_some());
        if name == "img" && source.is_none() {
            // An image that is not shown is replaced by its alternative text.
            if let Some((_, alt)) = start.attributes.iter().find(|(name, _)| *name == "alt") {
                self.text(alt);
            }
            return;
        }
        self.html.extend(["<", name]);
        for (name, value) in start.attributes.iter().filter(|(attribute, value)| {
            *attribute != "src" || inline_images::content_id(value).is_some()
        }) {
            self.html.extend([" ", name, "=\"", &value.replace('"', "&quot;"), "\""]);
        }
        self.html.push('>');
        if one_of(VOID, name).is_none() {
            self.open.push(name);
        }
    }

    fn end(&mut self, name: &str) {
        let Some(name) = one_of(ALLOWED, name) else { return };
        let scopes: &[&str] = match name {
            "table" => &[],
            "tbody" | "thead" | "tfoot" | "caption" | "tr" | "td" | "th" => &["table"],
            _ => &SCOPES,
        };
        self.close(&[name], scopes);
    }

    /// Closes the elements that a start tag `name` ends (HTML Standard 13.2.6.4.7).
    fn close_before(&mut self, name: &str) {
        if one_of(BLOCKS, name).is_some() {
            self.close(&["p"], &SCOPES);
        }
        match name {
            "li" => self.close(&["li"], &["ul", "ol", "table", "td", "th", "caption"]),
            "dd" | "dt" => self.close(&["dd", "dt"], &["dl", "table", "td", "th", "caption"]),
            "a" => self.close(&["a"], &SCOPES),
            "td" | "th" => self.close(&["td", "th", "caption"], &["table"]),
            "tr" => self.close(&["tr", "caption"], &["table"]),
            "tbody" | "thead" | "tfoot" | "caption" => {
                let table = self.open.iter().rposition(|open| *open == "table");
                self.close_down_to(table.map_or(self.open.len(), |table| table + 1));
            }
            _ if HEADINGS.contains(&name) && self.is_in(&HEADINGS) => {
                self.close_down_to(self.open.len().saturating_sub(1))
            }
            _ => {}
        }
    }

    /// Opens the cell or row that `name` lacks; false if `name` is not allowed at this place.
    fn open_parents(&mut self, name: &str) -> bool {
        let top = self.open.last().copied().unwrap_or_default();
        match name {
            "tbody" | "thead" | "tfoot" | "caption" => top == "table",
            "tr" => BETWEEN_CELLS.contains(&top) && top != "tr",
            "td" | "th" => {
                let is_in_table = self.is_in(&BETWEEN_CELLS);
                if is_in_table && top != "tr" {
                    self.push("tr");
                }
                is_in_table
            }
            _ => {
                self.enter_cell();
                let needed = if name == "table" { TABLE_DEPTH } else { 1 };
                one_of(VOID, name).is_some() || self.open.len() + needed <= DEPTH_MAX
            }
        }
    }

    /// Closes the innermost of `names` with its content, unless one of `scopes` is open inside it.
    fn close(&mut self, names: &[&str], scopes: &[&str]) {
        let stop = self.open.iter().rposition(|open| names.contains(open) || scopes.contains(open));
        if let Some(at) =
            stop.filter(|at| self.open.get(*at).is_some_and(|open| names.contains(open)))
        {
            self.close_down_to(at);
        }
    }

    /// Closes all but the outermost `len` elements.
    fn close_down_to(&mut self, len: usize) {
        for name in self.open.drain(len..).rev() {
            self.html.extend(["</", name, ">"]);
        }
    }

    /// True if the innermost open element is one of `names`.
    fn is_in(&self, names: &[&str]) -> bool {
        self.open.last().is_some_and(|open| names.contains(open))
    }

    /// Opens a cell for content of a table that is in no cell.
    fn enter_cell(&mut self) {
        if self.is_in(&BETWEEN_CELLS) {
            if !self.is_in(&["tr"]) {
                self.push("tr");
            }
            self.push("td");
        }
    }

    fn push(&mut self, name: &'static str) {
        self.html.extend(["<", name, ">"]);
        self.open.push(name);
    }
}

fn is_remote(source: &str) -> bool {
    source.starts_with("//")
        || source.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("http"))
}

#[cfg(test)]
mod tests;
