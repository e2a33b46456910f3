//! SEARCH (RFC 3501 6.4.4) with ESEARCH (RFC 4731) and SEARCHRES (RFC 5182), in slices: some
//! messages at a time.

pub(crate) mod key;
pub(crate) mod matching;
pub(crate) mod query;
pub(crate) mod result;
pub(crate) mod walk;

use self::query::Query;
use self::result::{Found, Modseqs, Returns};
use self::walk::Walk;
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::listing::Needs;
use crate::imap::selected::Selected;
use crate::imap::sequence::Numbering;

/// The search keys and the form of the result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) by: Numbering,
    /// `RETURN (…)`; `None` for a SEARCH response.
    pub(crate) returns: Option<Returns>,
    pub(crate) query: Query,
}

impl Search {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: Numbering) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let returns = Returns::parse(cursor)?;
        let query = if cursor.eat("CHARSET ") {
            if cursor.enabled().utf8 {
                return Err(SyntaxError("no charset is given after ENABLE UTF8=ACCEPT"));
            }
            Query::parse_in_charset(cursor)?
        } else {
            Query::parse(cursor)?
        };
        Ok(Self { by, returns, query })
    }
}

/// A SEARCH in progress.
#[derive(Debug)]
pub(crate) struct SearchProgress {
    tag: String,
    pub(crate) by: Numbering,
    walk: Walk,
    found: Found,
}

impl SearchProgress {
    /// Begins a SEARCH. One with SAVE empties `$` once its own keys are resolved, so that it is
    /// empty if the search fails (RFC 5182 2.1).
    pub(crate) fn start(
        cx: &Context,
        selected: &mut Selected,
        tag: String,
        search: Search,
    ) -> Result<Self, Completion> {
        let Search { by, mut returns, query } = search;
        if cx.enabled.rev2 && returns.is_none() {
            // RFC 9051 6.4.4: there is no other response.
            returns = Some(Returns { all: true, ..Returns::default() });
        }
        let modseqs = query.key.has_modseq().then(Modseqs::default);
        let walk = Walk::start(cx, selected, query, Needs::default());
        if returns.is_some_and(|returns| returns.save) {
            selected.forget_saved();
        }
        let walk = walk?;
        Ok(Self { tag, by, walk, found: Found { by, returns, numbers: Vec::new(), modseqs } })
    }

    /// Examines the next slice of messages; the completion once all are examined.
    pub(crate) fn slice(
        &mut self,
        cx: &mut Context,
        selected: &mut Selected,
    ) -> Option<Completion> {
        let (by, found) = (self.by, &mut self.found);
        let sliced = self.walk.slice(cx, selected, |candidate| {
            found.numbers.push(candidate.number(by));
            if let Some(modseqs) = &mut found.modseqs {
                modseqs.add(candidate.message().modseq);
            }
            Ok(())
        });
        match sliced {
            Ok(true) => None,
            Ok(false) => {
                self.found.save(selected);
                self.found.print(&mut cx.out, "SEARCH", &self.tag);
                Some(Completion::ok("searched"))
            }
            Err(error) => Some(error.into()),
        }
    }
}
