//! A stranger's HTML made straight before it is parsed: every element closed, none deep, tables
//! with nothing out of place.
//!
//! A parser that does as browsers do spends on each tag as many steps as elements are open, moves
//! what is misplaced in tables past all its siblings, and repeats unclosed `<b>`s in every
//! paragraph: a small letter can be minutes of work. What leaves here gives it no occasion to: each
//! tag costs it at most [`DEPTH_MAX`] steps, and there are at most [`TAGS_MAX`]. It makes nothing
//! safe; the sanitiser comes after.

use super::inside;
use super::tokens::{Start, Token, Tokens};

/// Longer HTML is not taken apart.
pub(super) const HTML_LEN_MAX: usize = 1024 * 1024;
/// HTML with more tags is not taken apart; a long newsletter has ten thousand.
const TAGS_MAX: usize = 50_000;
/// How deep elements may lie in each other; what is deeper loses its tag, not its words.
const DEPTH_MAX: usize = 200;
/// What a table needs below itself: its body, a row, a cell.
const TABLE_DEPTH: usize = 4;

/// Elements that are kept.
const KEPT: &str = "a abbr acronym article aside b bdi bdo blockquote br caption center cite code dd del details dfn div dl dt em \
    figcaption figure footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li mark ol p pre q rp rt ruby s samp section small span strike \
    strong sub summary sup table tbody td tfoot th thead tr tt u ul var wbr";
/// Elements without an inside.
const EMPTY: &str = "br hr img wbr";
/// Elements that end a paragraph by beginning.
const BLOCKS: &str = "article aside blockquote center dd details div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hr li ol p \
    pre section summary table ul";
/// Elements whose inside is no HTML and says nothing.
const RAW: &str = "script style title textarea noscript iframe noembed noframes xmp";
/// Elements that are left out with all in them.
const HIDDEN: &str = "svg math object template";
const HEADINGS: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];
/// What stands in a table without being in a cell.
const BETWEEN_CELLS: [&str; 5] = ["table", "tbody", "thead", "tfoot", "tr"];
/// What no end tag and no new paragraph reaches out of.
const WALLS: [&str; 4] = ["table", "td", "th", "caption"];

/// HTML that costs little to parse.
#[derive(Debug, Default)]
pub(super) struct Straight {
    html: String,
    open: Vec<&'static str>,
    /// How many pictures from elsewhere it has.
    pub(super) pictures: usize,
}

/// Makes `html` straight; `None` if there is too much of it.
pub(super) fn straighten(html: &str) -> Option<Straight> {
    if html.len() > HTML_LEN_MAX {
        return None;
    }
    let (mut straight, mut tokens) = (Straight::default(), Tokens::of(html));
    // The hidden element it is in, and how many of that name lie in each other.
    let mut hidden: Option<(&str, usize)> = None;
    let mut tags = 0;
    while let Some(token) = tokens.next() {
        tags += usize::from(!matches!(token, Token::Text(_)));
        if tags > TAGS_MAX {
            return None;
        }
        if let Some((name, depth)) = &mut hidden {
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
                hidden = None;
            }
            continue;
        }
        match token {
            Token::Text(text) => straight.text(text),
            Token::End(name) => straight.end(name),
            Token::Start(start) => {
                if let Some(name) = one_of(RAW, start.name) {
                    tokens.skip_to_end_of(name);
                } else if let Some(name) = one_of(HIDDEN, start.name) {
                    hidden = (!start.is_closed).then_some((name, 1));
                } else {
                    straight.start(&start);
                }
            }
        }
    }
    straight.cut(0);
    Some(straight)
}

/// The one of `names` that `name` is, in whatever case.
fn one_of(names: &'static str, name: &str) -> Option<&'static str> {
    names.split(' ').find(|known| known.eq_ignore_ascii_case(name))
}

impl Straight {
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
        let Some(name) = one_of(KEPT, start.name) else { return };
        self.close_before(name);
        if !self.make_place(name) {
            return;
        }
        if name == "img"
            && start.attributes.iter().any(|(name, value)| *name == "src" && is_elsewhere(value))
        {
            self.pictures += 1;
        }
        let source = start
            .attributes
            .iter()
            .find(|(name, value)| *name == "src" && inside::id_of(value).is_some());
        if name == "img" && source.is_none() {
            // A picture that is not shown is what it shows, in words.
            if let Some((_, words)) = start.attributes.iter().find(|(name, _)| *name == "alt") {
                self.text(words);
            }
            return;
        }
        self.html.extend(["<", name]);
        for (name, value) in start
            .attributes
            .iter()
            .filter(|(attribute, value)| *attribute != "src" || inside::id_of(value).is_some())
        {
            self.html.extend([" ", name, "=\"", &value.replace('"', "&quot;"), "\""]);
        }
        self.html.push('>');
        if one_of(EMPTY, name).is_none() {
            self.open.push(name);
        }
    }

    fn end(&mut self, name: &str) {
        let Some(name) = one_of(KEPT, name) else { return };
        let walls: &[&str] = match name {
            "table" => &[],
            "tbody" | "thead" | "tfoot" | "caption" | "tr" | "td" | "th" => &["table"],
            _ => &WALLS,
        };
        self.close(&[name], walls);
    }

    /// Closes what `name` ends by beginning.
    fn close_before(&mut self, name: &str) {
        if one_of(BLOCKS, name).is_some() {
            self.close(&["p"], &WALLS);
        }
        match name {
            "li" => self.close(&["li"], &["ul", "ol", "table", "td", "th", "caption"]),
            "dd" | "dt" => self.close(&["dd", "dt"], &["dl", "table", "td", "th", "caption"]),
            "a" => self.close(&["a"], &WALLS),
            "td" | "th" => self.close(&["td", "th", "caption"], &["table"]),
            "tr" => self.close(&["tr", "caption"], &["table"]),
            "tbody" | "thead" | "tfoot" | "caption" => {
                let table = self.open.iter().rposition(|open| *open == "table");
                self.cut(table.map_or(self.open.len(), |table| table + 1));
            }
            _ if HEADINGS.contains(&name) && self.is_in(&HEADINGS) => {
                self.cut(self.open.len().saturating_sub(1))
            }
            _ => {}
        }
    }

    /// Whether `name` may stand here, after the cell or row it lacks has been begun.
    fn make_place(&mut self, name: &str) -> bool {
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
                one_of(EMPTY, name).is_some() || self.open.len() + needed <= DEPTH_MAX
            }
        }
    }

    /// Closes the innermost of `names` and all in it, unless one of `walls` lies between.
    fn close(&mut self, names: &[&str], walls: &[&str]) {
        let stop = self.open.iter().rposition(|open| names.contains(open) || walls.contains(open));
        if let Some(at) =
            stop.filter(|at| self.open.get(*at).is_some_and(|open| names.contains(open)))
        {
            self.cut(at);
        }
    }

    /// Closes all but the outermost `len` elements.
    fn cut(&mut self, len: usize) {
        for name in self.open.drain(len..).rev() {
            self.html.extend(["</", name, ">"]);
        }
    }

    /// Whether the innermost open element is one of `names`.
    fn is_in(&self, names: &[&str]) -> bool {
        self.open.last().is_some_and(|open| names.contains(open))
    }

    /// Begins a cell for what would stand in none.
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

fn is_elsewhere(source: &str) -> bool {
    source.starts_with("//")
        || source.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("http"))
}

#[cfg(test)]
mod tests;
