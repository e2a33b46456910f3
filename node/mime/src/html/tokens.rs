//! The HTML of a message as tokens, read once from front to end (the part of HTML Standard 13.2.5
//! that text and structure need).
//!
//! The work is linear in the input: a browser's tokeniser compares each attribute of a tag with all
//! attributes before it, while this one keeps the few of `ATTRIBUTES` and drops the rest.

/// White space between names and attributes.
const BLANK: [char; 5] = ['\t', '\n', '\x0c', '\r', ' '];
/// Attributes that matter for text and structure; all others are skipped.
const ATTRIBUTES: [&str; 19] = [
    "align", "alt", "class", "colspan", "dir", "hidden", "href", "id", "lang", "media", "name",
    "reversed", "rowspan", "src", "start", "style", "title", "type", "value",
];

/// One piece of the text.
#[derive(Debug, PartialEq)]
pub enum Token<'a> {
    /// Text, with its character references as written.
    Text(&'a str),
    /// A start tag.
    Start(Start<'a>),
    /// An end tag's name, as written.
    End(&'a str),
}

/// A start tag.
#[derive(Debug, Default, PartialEq)]
pub struct Start<'a> {
    /// The name as written.
    pub name: &'a str,
    /// The known `ATTRIBUTES`, each once, with the value as written between its quotes.
    pub attributes: Vec<(&'static str, &'a str)>,
    /// True if the tag ends in `/>`.
    pub is_closed: bool,
    /// True if its style strikes its text through; only tokens of `Visible` know.
    pub is_struck: bool,
}

impl<'a> Start<'a> {
    /// The value of one of the known attributes.
    pub fn attribute(&self, wanted: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
    }
}

/// An iterator over the tokens of the rest of the text.
#[derive(Clone)]
pub struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    /// The tokens of a whole text.
    pub fn of(html: &'a str) -> Self {
        Self { rest: html }
    }

    /// Skips to the end tag of `name` and gives the text before it: the content of such an element
    /// is not HTML.
    pub fn skip_to_end_of(&mut self, name: &str) -> &'a str {
        let is_end = |rest: &str| {
            let tail = rest
                .get(2..)
                .and_then(|tail| Some((tail.get(..name.len())?, tail.get(name.len()..)?)));
            tail.is_some_and(|(found, after)| {
                found.eq_ignore_ascii_case(name) && after.starts_with(ends_name)
            })
        };
        let mut candidates =
            self.rest.match_indices("</").filter_map(|(at, _)| self.rest.get(at..));
        let end = candidates.find(|rest| is_end(rest)).unwrap_or_default();
        let len = self.rest.len().saturating_sub(end.len());
        let skipped = self.rest.get(..len).unwrap_or_default();
        self.rest = end;
        skipped
    }

    /// The text up to the next markup.
    fn text(&mut self) -> Option<Token<'a>> {
        let is_markup = |(at, _): &(usize, &str)| {
            let next = self.rest.as_bytes().get(at + 1);
            next.is_some_and(|next| {
                next.is_ascii_alphabetic() || matches!(next, b'/' | b'!' | b'?')
            })
        };
        let end =
            self.rest.match_indices('<').find(is_markup).map_or(self.rest.len(), |(at, _)| at);
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!text.is_empty()).then_some(Token::Text(text))
    }

    /// The next tag; `None` for markup without meaning here: a comment, a declaration, a tag
    /// without an end.
    fn markup(&mut self) -> Option<Token<'a>> {
        let rest = self.rest;
        if let Some(comment) = rest.strip_prefix("<!--") {
            let ends_comment = |before: &str| {
                before.is_empty()
                    || before == "-"
                    || before.ends_with("--")
                    || before.ends_with("--!")
            };
            let end = comment
                .match_indices('>')
                .find(|(at, _)| comment.get(..*at).is_some_and(ends_comment));
            self.rest = end.and_then(|(at, _)| comment.get(at + 1..)).unwrap_or_default();
            return None;
        }
        let (is_end, named) = match rest.strip_prefix("</") {
            Some(named) => (true, named),
            None => (false, rest.strip_prefix('<').unwrap_or_default()),
        };
        if !named.starts_with(|c: char| c.is_ascii_alphabetic()) {
            self.rest = rest.split_once('>').map_or("", |(_, after)| after);
            return None;
        }
        let (start, rest) = tag(named).unwrap_or_default();
        self.rest = rest;
        match (is_end, start.name) {
            (_, "") => None,
            (true, name) => Some(Token::End(name)),
            (false, _) => Some(Token::Start(start)),
        }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        while !self.rest.is_empty() {
            if let Some(token) = self.text().or_else(|| self.markup()) {
                return Some(token);
            }
        }
        None
    }
}

fn ends_name(c: char) -> bool {
    BLANK.contains(&c) || matches!(c, '/' | '>')
}

/// Splits `text` before the first character for which `is_end` holds.
fn until(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

/// Reads a tag from its name on, and gives the rest of the text; `None` if the tag has no end.
fn tag(text: &str) -> Option<(Start<'_>, &str)> {
    let (name, mut rest) = until(text, ends_name);
    let mut start = Start { name, ..Start::default() };
    loop {
        let (skipped, after) = until(rest, |c| !BLANK.contains(&c) && c != '/');
        if let Some(rest) = after.strip_prefix('>') {
            start.is_closed = skipped.ends_with('/');
            return Some((start, rest));
        }
        let first = after.chars().next()?;
        // An attribute's name may begin with `=`, but with no other character that ends a name.
        let (name, after) = match after
            .get(first.len_utf8()..)
            .and_then(|tail| tail.find(|c| ends_name(c) || c == '='))
        {
            Some(len) => after.split_at(first.len_utf8() + len),
            None => return None,
        };
        let value;
        (value, rest) = match after.trim_start_matches(BLANK).strip_prefix('=') {
            Some(valued) => value_of(valued.trim_start_matches(BLANK))?,
            None => ("", after),
        };
        let known = ATTRIBUTES.iter().find(|known| known.eq_ignore_ascii_case(name));
        if let Some(known) =
            known.filter(|known| start.attributes.iter().all(|(name, _)| name != *known))
        {
            start.attributes.push((known, value));
        }
    }
}

/// An attribute's value and the rest of the text; `None` if its quotes are never closed.
fn value_of(text: &str) -> Option<(&str, &str)> {
    match text.chars().next()? {
        quote @ ('"' | '\'') => text.get(1..)?.split_once(quote),
        _ => Some(until(text, |c| BLANK.contains(&c) || c == '>')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(html: &str) -> String {
        let show = |token| match token {
            Token::Text(text) => format!("“{text}”"),
            Token::Start(start) => format!(
                "<{} {:?}{}>",
                start.name,
                start.attributes,
                if start.is_closed { "/" } else { "" }
            ),
            Token::End(name) => format!("</{name}>"),
        };
        Tokens::of(html).map(show).collect()
    }

    #[test]
    fn tags_are_tokenised_as_browsers_do() {
        for (html, tokens) in [
            ("a < b <3 <", "“a < b <3 <”"),
            ("<P clas=x>y</P >", "<P []>“y”</P>"),
            (
                "<a href='x>\"y' title = z/>w",
                "<a [(\"href\", \"x>\\\"y\"), (\"title\", \"z/\")]>“w”",
            ),
            ("<a HREF=\"1\"href=2 =alt>", "<a [(\"href\", \"1\")]>"),
            ("<br/><img / src>", "<br []/><img [(\"src\", \"\")]>"),
            ("a<!-- <b> -- > -->b<!-->c<!--->d<!-- --!>e<!-- f", "“a”“b”“c”“d”“e”"),
            ("<!doctype html><?xml?></ x>a<![CDATA[b]]>c", "“a”“c”"),
            ("a<b title=\"never", "“a”"),
            ("a<b never", "“a”"),
        ] {
            assert_eq!(shown(html), tokens, "{html}");
        }
    }

    #[test]
    fn raw_text_is_skipped_to_its_end_tag() {
        let mut tokens = Tokens::of("a</styles></STYLE\n>b");
        tokens.skip_to_end_of("style");
        assert_eq!(tokens.collect::<Vec<_>>(), [Token::End("STYLE"), Token::Text("b")]);
        let mut tokens = Tokens::of("a</style");
        tokens.skip_to_end_of("style");
        assert_eq!(tokens.next(), None);
    }
}
