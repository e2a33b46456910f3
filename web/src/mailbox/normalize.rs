//! Normalises a stranger's HTML before the sanitiser parses it: every element is closed, nesting is
//! bounded, and tables hold nothing outside their cells.
//!
//! A parser that follows the HTML Standard spends on each tag as many steps as elements are open,
//! moves misplaced content of tables past all its siblings, and reopens unclosed `<b>`s in every
//! paragraph: a small message can cost it minutes. The output of this module can't: each tag costs
//! at most [`DEPTH_MAX`] steps, and there are at most [`TAGS_MAX`]. The output is not safe; the
//! sanitiser runs afterwards.

use std::collections::{BTreeSet, HashSet};

use freehold_mime::html;
use freehold_mime::html::tokens::{Start, Token, Tokens};
use freehold_mime::html::visible::Visible;
use freehold_mime::media::percent_decoded;

use super::host_names::hidden_host;
use super::pictures::Pictures;
use super::remote_pictures::PICTURES_MAX;

/// Longer HTML is refused, in bytes.
pub(super) const HTML_LEN_MAX: usize = 1024 * 1024;
/// Encoded bytes of an HTML text that are decoded: a longer one is over its limit.
pub(super) const HTML_READ_LEN_MAX: usize = 4 * HTML_LEN_MAX;
/// HTML with more tags is refused; a long newsletter has ten thousand.
const TAGS_MAX: usize = 50_000;
/// The deepest nesting of elements; a deeper element loses its tags and keeps its text.
const DEPTH_MAX: usize = 200;
/// How much of a link's text is compared with its address, in bytes.
const LINK_TEXT_LEN_MAX: usize = 500;
/// The depth a table needs: itself, its body, a row, a cell.
const TABLE_DEPTH: usize = 4;

/// Elements that pass; `font` only if it is struck.
const ALLOWED: &str = "a abbr acronym article aside b bdi bdo blockquote br caption center cite \
    code dd del details dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr \
    i img ins kbd li mark ol p pre q rp rt ruby s samp section small span strike strong sub \
    summary sup table tbody td tfoot th thead tr tt u ul var wbr";
/// Elements without content (HTML Standard 13.1.2, void elements).
const VOID: &str = "br hr img wbr";
/// Elements whose start tag closes an open paragraph.
const BLOCKS: &str = "article aside blockquote center dd details div dl dt figcaption figure \
    footer h1 h2 h3 h4 h5 h6 header hr li ol p pre section summary table ul";
/// Before the number of a remote picture. Only the addresses that the sanitiser knows are kept.
pub(super) const REMOTE: &str = "remote:";
const HEADINGS: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];
/// Elements of a table outside its cells.
const BETWEEN_CELLS: [&str; 5] = ["table", "tbody", "thead", "tfoot", "tr"];
/// Elements that no end tag and no new paragraph inside them closes past.
const SCOPES: [&str; 4] = ["table", "td", "th", "caption"];

/// Elements that strike their text.
const STRIKING: [&str; 3] = ["s", "strike", "del"];
/// Elements that have elements as content and no text.
const CONTAINERS: &str = "details dl ol ruby table tbody tfoot thead tr ul";

/// Attributes that pass.
const ATTRIBUTES: &str = "align alt colspan dir href lang rowspan title";
/// Attributes that number the items of a list, and the elements that have them.
const NUMBERING: [(&str, &str); 6] = [
    ("ol", "reversed"),
    ("ol", "start"),
    ("ol", "type"),
    ("ul", "type"),
    ("li", "type"),
    ("li", "value"),
];

/// HTML that is cheap to parse. The source of each picture is `cid:` and the number of its part, or
/// [`REMOTE`] and its number among the remote ones.
#[derive(Debug, Default)]
pub(super) struct NormalizedHtml {
    html: String,
    open: Vec<&'static str>,
    /// The addresses of the open links and the beginning of their texts, as written.
    links: Vec<(String, String)>,
    /// The fragments that links inside the text lead to. Only these ids and names are kept.
    targets: HashSet<String>,
    /// Number of images with a remote source.
    pub(super) remote_images: usize,
    /// The remote sources, each once.
    pub(super) remote: Vec<String>,
    /// The numbers of the parts that are shown as pictures.
    pub(super) pictures: BTreeSet<usize>,
    /// The direction of the whole text, if the sender gave one: `ltr` or `rtl`.
    pub(super) direction: Option<&'static str>,
}

/// Normalises `html`; `None` if it is longer than [`HTML_LEN_MAX`] or has more than [`TAGS_MAX`]
/// tags.
pub(super) fn normalize(html: &str, pictures: &Pictures) -> Option<NormalizedHtml> {
    if html.len() > HTML_LEN_MAX {
        return None;
    }
    let mut normalized = NormalizedHtml { targets: targets(html), ..NormalizedHtml::default() };
    let mut tags = 0;
    for token in Visible::of(html) {
        tags += usize::from(!matches!(token, Token::Text(_)));
        match token {
            _ if tags > TAGS_MAX => return None,
            Token::Text(text) => normalized.text(text),
            Token::End(name) => normalized.end(name),
            Token::Start(start) => normalized.start(&start, pictures),
        }
    }
    normalized.close_down_to(0);
    Some(normalized)
}

/// The fragments of the links inside a text, as written and percent-decoded (HTML Standard,
/// "scrolling to a fragment").
fn targets(html: &str) -> HashSet<String> {
    let mut targets = HashSet::new();
    if !html.contains('#') {
        return targets;
    }
    for token in Tokens::of(html) {
        if let Token::Start(start) = token
            && let Some(fragment) = start.attribute("href").and_then(fragment)
        {
            let decoded = percent_decoded(fragment.as_bytes());
            targets.insert(String::from_utf8_lossy(&decoded).into_owned());
            targets.insert(fragment.to_owned());
        }
    }
    targets
}

/// The fragment of an address inside the text.
pub(super) fn fragment(address: &str) -> Option<&str> {
    address.trim().strip_prefix('#')
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
            for (_, link) in &mut self.links {
                let left = LINK_TEXT_LEN_MAX.saturating_sub(link.len());
                link.push_str(text.get(..text.floor_char_boundary(left)).unwrap_or_default());
            }
        }
    }

    fn start(&mut self, start: &Start<'_>, pictures: &Pictures) {
        if one_of("html body", start.name).is_some() {
            let direction = start.attribute("dir");
            let direction = direction.and_then(|value| one_of("ltr rtl", value.trim()));
            self.direction = self.direction.or(direction);
        }
        let Some(name) = one_of(ALLOWED, start.name) else { return };
        if name == "font" && !start.is_struck {
            return;
        }
        self.close_before(name);
        if !self.open_parents(name) {
            return;
        }
        if name == "img" {
            return self.picture(start, pictures);
        }
        self.html.extend(["<", name]);
        self.attributes(name, start);
        if name == "a" {
            let href = start.attribute("href").unwrap_or_default();
            self.links.push((href.to_owned(), String::new()));
            if fragment(href).is_some() {
                // Other links open a window of their own.
                self.html.push_str(" target=\"_self\"");
            }
        }
        self.html.push('>');
        if one_of(VOID, name).is_none() {
            self.open.push(name);
            if start.is_struck {
                self.strike(name);
            }
        }
    }

    /// Strikes the content of the element that was opened last. The frame's policy allows no style
    /// attributes, so an element does it.
    fn strike(&mut self, name: &str) {
        let is_struck = self.open.iter().any(|open| STRIKING.contains(open));
        if !is_struck && one_of(CONTAINERS, name).is_none() && self.open.len() < DEPTH_MAX {
            self.push("s");
        }
    }

    /// A picture of the message, or the alternative text of another.
    fn picture(&mut self, start: &Start<'_>, pictures: &Pictures) {
        let source = start.attribute("src").unwrap_or_default();
        if is_data_picture(source) {
            self.html.extend(["<img src=\"", source.trim(), "\""]);
            self.attributes("img", start);
            return self.html.push('>');
        }
        let plain = source.replace("&amp;", "&");
        let Some(part) = pictures.find(&plain) else {
            self.remote_images += usize::from(is_remote(source));
            if pictures.shows_remote && is_remote(source) && self.remote_picture(&plain, start) {
                return;
            }
            if let Some(alt) = start.attribute("alt") {
                self.text(alt);
            }
            return;
        };
        self.pictures.insert(part);
        self.html.extend(["<img src=\"cid:", &part.to_string(), "\""]);
        self.attributes("img", start);
        self.html.push('>');
    }

    /// A picture from elsewhere; false if there are too many.
    fn remote_picture(&mut self, source: &str, start: &Start<'_>) -> bool {
        let source = match source.trim() {
            source if source.starts_with("//") => format!("https:{source}"),
            source => source.to_owned(),
        };
        let known = self.remote.iter().position(|known| *known == source);
        let number = match known {
            Some(number) => number,
            None if self.remote.len() >= PICTURES_MAX => return false,
            None => {
                self.remote.push(source);
                self.remote.len().saturating_sub(1)
            }
        };
        self.html.extend(["<img src=\"", REMOTE, &number.to_string(), "\""]);
        self.attributes("img", start);
        self.html.push('>');
        true
    }

    fn attributes(&mut self, element: &str, start: &Start<'_>) {
        for (name, value) in &start.attributes {
            let is_target = *name == "id" || *name == "name" && element == "a";
            let passes = one_of(ATTRIBUTES, name).is_some()
                || NUMBERING.contains(&(element, name))
                || is_target && self.targets.contains(*value);
            if !passes {
                continue;
            }
            self.html.extend([" ", name, "=\"", &value.replace('"', "&quot;"), "\""]);
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

    /// Closes all but the outermost `len` elements. A link whose text names another host
    /// is followed by its own.
    fn close_down_to(&mut self, len: usize) {
        for name in self.open.drain(len..).rev() {
            self.html.extend(["</", name, ">"]);
            let link = if name == "a" { self.links.pop() } else { None };
            let host = link.and_then(|(href, text)| hidden_host(&html::to_text(&text), &href));
            if let Some(host) = host {
                // Isolated, so that nothing before it turns it around.
                self.html.extend([" <bdi>[", &host, "]</bdi> "]);
            }
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

/// True for a `data:` URL with a raster picture and nothing that could end the attribute.
pub(super) fn is_data_picture(source: &str) -> bool {
    let source = source.trim();
    let lower = source.get(..24).unwrap_or(source).to_ascii_lowercase();
    let kinds = ["png", "jpeg", "jpg", "gif", "webp"];
    let is_kind = |kind: &&str| lower.starts_with(&format!("data:image/{kind};base64,"));
    kinds.iter().any(is_kind)
        && source
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b":;,/+=\r\n\t ".contains(&byte))
}

fn is_remote(source: &str) -> bool {
    source.starts_with("//")
        || source.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("http"))
}

#[cfg(test)]
mod tests;
