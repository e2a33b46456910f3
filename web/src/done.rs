//! The outcome of a form, said in one line on the page that follows it. The redirect names it in
//! its query, so a reload or a shared address only shows the line again.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// The outcome of a form; as an extractor, the one that the page's query names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Done {
    #[default]
    Nothing,
    Published,
    Changed,
    Unchanged,
    Saved,
    Withdrawn,
    ThrownAway,
}

const NAMES: [(Done, &str, &str); 6] = [
    (Done::Published, "published", "It is out, and on its way to your friends."),
    (Done::Changed, "changed", "The change is out, and on its way to your friends."),
    (Done::Unchanged, "unchanged", "Nothing was changed, so nothing was sent."),
    (Done::Saved, "saved", "Saved. Only you see it."),
    (
        Done::Withdrawn,
        "withdrawn",
        "Withdrawn: it is off your site, and friends’ houses are being told.",
    ),
    (Done::ThrownAway, "thrown-away", "The draft is gone."),
];

impl<S: Sync> FromRequestParts<S> for Done {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::named(parts.uri.query().unwrap_or_default()))
    }
}

impl Done {
    /// The outcome that a query names.
    fn named(query: &str) -> Self {
        let name = query.split('&').find_map(|pair| pair.strip_prefix("done="));
        let named = NAMES.iter().find(|(_, known, _)| Some(*known) == name);
        named.map_or(Self::Nothing, |(done, ..)| *done)
    }

    fn entry(self) -> Option<&'static (Self, &'static str, &'static str)> {
        NAMES.iter().find(|(done, ..)| *done == self)
    }

    /// The address of a page that says it.
    pub(crate) fn at(self, path: &str) -> String {
        let mark = if path.contains('?') { '&' } else { '?' };
        match self.entry() {
            Some((_, name, _)) => format!("{path}{mark}done={name}"),
            None => path.to_owned(),
        }
    }

    /// The line; `None` if there is nothing to say.
    pub(crate) fn text(self) -> Option<&'static str> {
        self.entry().map(|(.., text)| *text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_of_an_outcome_leads_back_to_it() {
        for (done, name, text) in NAMES {
            assert_eq!(Done::named(&format!("a=b&done={name}")), done);
            assert_eq!(done.at("/a?b=c"), format!("/a?b=c&done={name}"));
            assert_eq!(done.text(), Some(text));
        }
        assert_eq!(Done::named("done=%3Cb%3E&done=published"), Done::Nothing);
        assert_eq!((Done::Nothing.at("/a"), Done::Nothing.text()), ("/a".to_owned(), None));
    }
}
