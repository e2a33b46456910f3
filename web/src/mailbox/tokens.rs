//! A letter's HTML as tokens, read once from front to end (HTML Standard 13.2.5, as far as words
//! and their shape need it).
//!
//! However the text is made, no byte of it is looked at more than a few times: a browser's
//! tokeniser compares each attribute of a tag with all before it, this one keeps a handful and
//! forgets the rest.

/// What parts names and attributes.
const BLANK: [char; 5] = ['\t', '\n', '\x0c', '\r', ' '];
/// Attributes that say something about words; whatever else a tag has is not even gathered.
const ATTRIBUTES: [&str; 10] =
    ["align", "alt", "colspan", "dir", "href", "lang", "rowspan", "src", "start", "title"];

/// One piece of the text.
#[derive(Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// Words, their entities as written.
    Text(&'a str),
    /// A start tag.
    Start(Start<'a>),
    /// An end tag's name, as written.
    End(&'a str),
}

/// A start tag.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Start<'a> {
    /// As written.
    pub(super) name: &'a str,
    /// Those of [`ATTRIBUTES`] it has, each once, the value as written between its quotes.
    pub(super) attributes: Vec<(&'static str, &'a str)>,
    /// Whether it ends in `/>`.
    pub(super) is_closed: bool,
}

/// What is left to be read.
pub(super) struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(html: &'a str) -> Self {
        Self { rest: html }
    }

    /// Leaves out everything up to the end tag of `name`, as of an element whose inside is no HTML.
    pub(super) fn skip_to_end_of(&mut self, name: &str) {
        let is_end = |rest: &str| {
            let tail = rest
                .get(2..)
                .and_then(|tail| Some((tail.get(..name.len())?, tail.get(name.len()..)?)));
            tail.is_some_and(|(found, after)| {
                found.eq_ignore_ascii_case(name) && after.starts_with(ends_name)
            })
        };
        let mut places = self.rest.match_indices("</").filter_map(|(at, _)| self.rest.get(at..));
        self.rest = places.find(|rest| is_end(rest)).unwrap_or_default();
    }

    /// The words up to the next markup.
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

    /// The markup that is next, or `None` for what says nothing: a comment, a declaration, a tag
    /// that never ends.
    fn markup(&mut self) -> Option<Token<'a>> {
        let rest = self.rest;
        if let Some(comment) = rest.strip_prefix("<!--") {
            let is_over = |before: &str| {
                before.is_empty()
                    || before == "-"
                    || before.ends_with("--")
                    || before.ends_with("--!")
            };
            let end =
                comment.match_indices('>').find(|(at, _)| comment.get(..*at).is_some_and(is_over));
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

/// `text` up to where `is_end` holds, and what follows.
fn until(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

/// Reads a tag from its name on; `None` if it never ends.
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
        // A name may begin with `=`, and with nothing else that ends it.
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

/// An attribute's value and what follows it; `None` if its quotes never close.
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
        let one = |token| match token {
            Token::Text(text) => format!("“{text}”"),
            Token::Start(start) => format!(
                "<{} {:?}{}>",
                start.name,
                start.attributes,
                if start.is_closed { "/" } else { "" }
            ),
            Token::End(name) => format!("</{name}>"),
        };
        Tokens::of(html).map(one).collect()
    }

    #[test]
    fn tags_are_read_as_browsers_read_them() {
        for (html, tokens) in [
            ("a < b <3 <", "“a < b <3 <”"),
            ("<P class=x>y</P >", "<P []>“y”</P>"),
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
    fn what_is_no_html_is_left_out_up_to_its_own_end() {
        let mut tokens = Tokens::of("a</styles></STYLE\n>b");
        tokens.skip_to_end_of("style");
        assert_eq!(tokens.collect::<Vec<_>>(), [Token::End("STYLE"), Token::Text("b")]);
        let mut tokens = Tokens::of("a</style");
        tokens.skip_to_end_of("style");
        assert_eq!(tokens.next(), None);
    }
}
