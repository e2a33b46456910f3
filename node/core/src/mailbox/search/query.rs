//! The query of a search as a person types it: words, phrases in quotes, and operators.

use freehold_mime::search::fold;

use super::{Flags, Message};
use crate::clock::Timestamp;

/// The most terms of a query; more are left out.
pub const TERMS_MAX: usize = 20;
/// The longest query, in bytes; the rest is left out.
const QUERY_LEN_MAX: usize = 1_000;

/// A query: a message is found if it fits all terms. Texts are folded
/// ([`freehold_mime::search::fold`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchQuery {
    /// Texts in an address field, in the subject, or in the body.
    pub words: Vec<String>,
    /// `from:`
    pub from: Vec<String>,
    /// `to:`, which also finds recipients of copies.
    pub to: Vec<String>,
    /// `subject:`
    pub subject: Vec<String>,
    /// `has:file`
    pub has_file: bool,
    /// `is:unread`
    pub is_unread: bool,
    /// `is:flagged`
    pub is_flagged: bool,
    /// `before:`: it arrived before the beginning of that day.
    pub before: Option<Timestamp>,
    /// `after:`: it arrived on that day or later.
    pub after: Option<Timestamp>,
    /// Terms with an operator whose value has no meaning, as typed. They are left out.
    pub not_understood: Vec<String>,
}

impl SearchQuery {
    /// Reads a query; `day` gives the beginning of a day that is written as `2026-11-30`.
    pub fn parse(text: &str, day: impl Fn(&str) -> Option<Timestamp>) -> Self {
        let text = text.get(..text.floor_char_boundary(QUERY_LEN_MAX)).unwrap_or_default();
        let mut query = Self::default();
        for term in terms(text).into_iter().take(TERMS_MAX) {
            query.add(&term, &day);
        }
        query
    }

    fn add(&mut self, term: &Term, day: impl Fn(&str) -> Option<Timestamp>) {
        let value = fold(&term.value);
        let mut is_understood = true;
        let mut date = |slot: &mut Option<Timestamp>| {
            let read = day(&term.value);
            is_understood = read.is_some();
            *slot = read.or(*slot);
        };
        match (term.operator.as_str(), value.as_str()) {
            (_, "") => is_understood = term.operator.is_empty(),
            ("from", _) => self.from.push(value),
            ("to", _) => self.to.push(value),
            ("subject", _) => self.subject.push(value),
            ("has", "file" | "files" | "attachment") => self.has_file = true,
            ("is", "unread") => self.is_unread = true,
            ("is", "flagged") => self.is_flagged = true,
            ("before", _) => date(&mut self.before),
            ("after", _) => date(&mut self.after),
            ("has" | "is", _) => is_understood = false,
            _ => self.words.push(value),
        }
        if !is_understood {
            self.not_understood.push(format!("{}:{}", term.operator, term.value));
        }
    }

    /// Whether the query has no term, so that it would find every message.
    pub fn is_empty(&self) -> bool {
        *self == Self { not_understood: self.not_understood.clone(), ..Self::default() }
    }

    /// Whether a message fits the terms that its page answers.
    pub(super) fn fits_state(&self, message: &Message) -> bool {
        (!self.is_unread || !message.flags.has(Flags::SEEN))
            && (!self.is_flagged || message.flags.has(Flags::FLAGGED))
            && self.before.is_none_or(|before| message.internal_date < before)
            && self.after.is_none_or(|after| message.internal_date >= after)
    }

    /// Whether a message with these texts fits the terms for single fields.
    pub(super) fn fits_fields(&self, texts: &Texts<'_>) -> bool {
        let all = |wanted: &[String], text: &str| wanted.iter().all(|word| text.contains(word));
        all(&self.from, texts.from) && all(&self.to, texts.to) && all(&self.subject, texts.subject)
    }

    /// The words that are in none of these texts: the body must have them.
    pub(super) fn missing_words(&self, texts: &Texts<'_>) -> Vec<&str> {
        let is_in = |word: &str| {
            texts.from.contains(word) || texts.to.contains(word) || texts.subject.contains(word)
        };
        self.words.iter().map(String::as_str).filter(|word| !is_in(word)).collect()
    }
}

/// The folded texts of a message that are searched without its body.
pub(super) struct Texts<'a> {
    pub(super) from: &'a str,
    /// All recipients.
    pub(super) to: &'a str,
    pub(super) subject: &'a str,
}

struct Term {
    /// Empty for a word.
    operator: String,
    value: String,
}

const OPERATORS: [&str; 7] = ["from", "to", "subject", "has", "is", "before", "after"];

/// Splits at white space outside quotes. A word with a colon that is no operator, such as an
/// address of the web, stays a word.
fn terms(text: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut operator = String::new();
        if let Some((name, after)) = rest.split_once(':') {
            let name = name.to_ascii_lowercase();
            if OPERATORS.contains(&name.as_str()) {
                (operator, rest) = (name, after);
            }
        }
        let (value, after) = match rest.strip_prefix('"') {
            // A quote that is not closed reaches to the end.
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        if !value.is_empty() || !operator.is_empty() {
            terms.push(Term { operator, value: value.to_owned() });
        }
        rest = after.trim_start();
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fuzz::fuzz;

    fn parse(text: &str) -> SearchQuery {
        SearchQuery::parse(text, |day| (day == "2026-11-30").then_some(Timestamp(7)))
    }

    #[test]
    fn query_is_read_term_by_term() {
        let query = parse("FROM:Joost to:\"Ruth A\" subject:Tide  has:file is:unread is:flagged Ü");
        assert_eq!((query.from, query.to), (vec!["joost".to_owned()], vec!["ruth a".to_owned()]));
        assert_eq!((query.subject, query.words), (vec!["tide".to_owned()], vec!["ü".to_owned()]));
        assert!(query.has_file && query.is_unread && query.is_flagged);
        let query = parse("before:2026-11-30 after:2026-11-30");
        assert_eq!((query.before, query.after), (Some(Timestamp(7)), Some(Timestamp(7))));
        assert_eq!(
            parse("\"low water\" http://a.example").words,
            ["low water", "http://a.example"]
        );
        assert!(parse("  ").is_empty() && parse("\"").is_empty());
    }

    #[test]
    fn operator_without_meaning_is_reported() {
        let query = parse("before:soon is:red has: from: a");
        assert_eq!(query.not_understood, ["before:soon", "is:red", "has:", "from:"]);
        assert_eq!((query.words.len(), query.before), (1, None));
        assert!(parse("is:red").is_empty());
    }

    #[test]
    fn long_query_is_cut() {
        assert_eq!(parse(&"a ".repeat(10_000)).words.len(), TERMS_MAX);
        assert_eq!(parse(&"ü".repeat(10_000)).words[0].len(), QUERY_LEN_MAX);
        let corpus = [b"from:\"a b\" is:unread before:2026-11-30 \xc3\xbc".to_vec()];
        fuzz("queries", &corpus, |input| drop(parse(&String::from_utf8_lossy(input))));
    }
}
