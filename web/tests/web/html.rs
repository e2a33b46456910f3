//! A small HTML reader for tests. Selectors are compounds such as `form[action='/x']`, `#main`,
//! `p.fault`, separated by spaces for descendants; attributes match with `=`, `^=` or by presence.

/// An element with its text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Element {
    tag: String,
    attributes: Vec<(String, String)>,
    parent: Option<usize>,
    text: String,
}

impl Element {
    /// The attribute's value; empty if it is missing.
    pub(crate) fn attr(&self, name: &str) -> &str {
        self.attributes.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn has_attr(&self, name: &str) -> bool {
        self.attributes.iter().any(|(known, _)| known == name)
    }

    /// The text of the element and its descendants, with white space collapsed.
    pub(crate) fn text(&self) -> String {
        self.text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The value of a form's field.
    pub(crate) fn value(&self) -> String {
        match self.tag.as_str() {
            // The first line break after the start tag is no content (HTML Standard 13.1.2.5).
            "textarea" => self.text.strip_prefix('\n').unwrap_or(&self.text).to_owned(),
            _ => self.attr("value").to_owned(),
        }
    }
}

/// All elements of a page, in the order of their start tags.
pub(crate) struct Document(Vec<Element>);

const VOID: [&str; 6] = ["br", "hr", "img", "input", "link", "meta"];

impl Document {
    pub(crate) fn parse(html: &str) -> Self {
        let (mut elements, mut open) = (Vec::<Element>::new(), Vec::<usize>::new());
        let mut rest = html;
        while let Some((text, markup)) = rest.split_once('<') {
            add_text(&mut elements, &open, text);
            let end = tag_end(markup);
            let tag = &markup[..end];
            rest = markup.get(end + 1..).unwrap_or_default();
            if let Some(name) = tag.strip_prefix('/') {
                let at = open.iter().rposition(|at| elements[*at].tag == name);
                open.truncate(at.unwrap_or_else(|| panic!("</{name}> closes nothing")));
            } else if !tag.starts_with(['!', '?']) {
                let mut element = start_tag(tag.trim_end_matches('/'));
                element.parent = open.last().copied();
                if !VOID.contains(&element.tag.as_str()) && !tag.ends_with('/') {
                    open.push(elements.len());
                }
                elements.push(element);
            }
        }
        Self(elements)
    }

    /// The elements that match, in document order.
    pub(crate) fn all(&self, selector: &str) -> Vec<Element> {
        let compounds = split(selector);
        let matches = |at: &usize| {
            let (last, ancestors) = compounds.split_last().expect("a selector");
            self.fits(*at, last) && self.has_ancestors(self.0[*at].parent, ancestors)
        };
        (0..self.0.len()).filter(matches).map(|at| self.0[at].clone()).collect()
    }

    fn has_ancestors(&self, mut at: Option<usize>, compounds: &[String]) -> bool {
        let Some((last, rest)) = compounds.split_last() else { return true };
        while let Some(parent) = at {
            at = self.0[parent].parent;
            if self.fits(parent, last) && self.has_ancestors(at, rest) {
                return true;
            }
        }
        false
    }

    fn fits(&self, at: usize, compound: &str) -> bool {
        let element = &self.0[at];
        let end = compound.find(['#', '.', '[']).unwrap_or(compound.len());
        let (tag, mut rest) = compound.split_at(end);
        let mut fits = tag.is_empty() || tag == element.tag;
        while let Some(kind) = rest.chars().next() {
            let inner = &rest[1..];
            let end = match kind {
                '[' => inner.find(']').expect("a closed bracket"),
                _ => inner.find(['#', '.', '[']).unwrap_or(inner.len()),
            };
            let value = &inner[..end];
            fits &= match kind {
                '#' => element.attr("id") == value,
                '.' => element.attr("class").split(' ').any(|class| class == value),
                _ => has_attribute(element, value),
            };
            rest = inner[end..].trim_start_matches(']');
        }
        fits
    }
}

fn has_attribute(element: &Element, condition: &str) -> bool {
    match condition.split_once('=') {
        None => element.has_attr(condition),
        Some((name, value)) => {
            let (prefix_of, value) = (name.strip_suffix('^'), value.trim_matches('\''));
            let found = element.attr(prefix_of.unwrap_or(name));
            found == value || (prefix_of.is_some() && found.starts_with(value))
        }
    }
}

/// Splits at the spaces outside brackets.
fn split(selector: &str) -> Vec<String> {
    let (mut compounds, mut depth) = (vec![String::new()], 0);
    for c in selector.chars() {
        depth += i32::from(c == '[') - i32::from(c == ']');
        match (c, depth) {
            (' ', 0) => compounds.push(String::new()),
            _ => compounds.last_mut().expect("one at least").push(c),
        }
    }
    compounds
}

/// The end of a tag: the first `>` outside quotes.
fn tag_end(markup: &str) -> usize {
    let mut is_quoted = false;
    let end = markup.find(|c| {
        is_quoted ^= c == '"';
        c == '>' && !is_quoted
    });
    end.expect("a closed tag")
}

fn start_tag(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
    let mut element = Element { tag: name.to_owned(), ..Element::default() };
    while let Some(start) = rest.find(|c: char| !c.is_whitespace()) {
        rest = &rest[start..];
        let end = rest.find(['=', ' ', '\n']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let value;
        (value, rest) = match after.strip_prefix("=\"") {
            Some(quoted) => quoted.split_once('"').expect("a closed quote"),
            None => ("", after),
        };
        element.attributes.push((name.to_owned(), decoded(value)));
    }
    element
}

fn add_text(elements: &mut [Element], open: &[usize], text: &str) {
    for at in open {
        elements[*at].text.push_str(&decoded(text));
    }
}

/// Replaces the character references that our templates and Markdown produce.
fn decoded(text: &str) -> String {
    let references =
        ["&#34;", "&quot;", "&#39;", "&#60;", "&lt;", "&#62;", "&gt;", "&#38;", "&amp;"];
    let characters = ["\"", "\"", "'", "<", "<", ">", ">", "&", "&"];
    let pairs = references.iter().zip(characters);
    pairs.fold(text.to_owned(), |text, (reference, character)| text.replace(reference, character))
}

#[test]
fn selectors_find_elements() {
    let html =
        Document::parse("<p id=\"a\" class=\"b c\">1 &#60; <i x>2</i><br></p><i y=\"z\">3</i>");
    for (selector, texts) in [
        ("p#a.c[class='b c']", ["1 < 2"].as_slice()),
        ("i", &["2", "3"]),
        ("p i[x]", &["2"]),
        ("i[y^='z']", &["3"]),
        ("p.d", &[]),
        ("[id='b']", &[]),
    ] {
        let found: Vec<String> = html.all(selector).iter().map(Element::text).collect();
        assert_eq!(found, texts, "{selector}");
    }
}
