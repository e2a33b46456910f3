//! The outcome of a form, shown in one line on the next page. The redirect names it in
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
    PhotoChanged,
    PhotoDeleted,
    MessageSent,
    MovedToInbox,
    MovedToArchive,
    MovedToJunk,
    MovedToTrash,
    Moved,
    MarkedUnread,
    MessageDeleted,
    FolderEmptied,
    BinDaysSaved,
    FriendAdded,
    RequestRejected,
    FriendRemoved,
    FriendBlocked,
    FriendUnblocked,
    AppPasswordRevoked,
    SessionsEnded,
}

const NAMES: [(Done, &str, &str); 25] = [
    (Done::Published, "published", "It is out, and on its way to your friends."),
    (Done::Changed, "changed", "The change is out, and on its way to your friends."),
    (Done::Unchanged, "unchanged", "Nothing was changed, so nothing was sent."),
    (Done::Saved, "saved", "Saved. Only you see it."),
    (
        Done::Withdrawn,
        "withdrawn",
        "Withdrawn: it is off your site, and the withdrawal is on its way to your friends.",
    ),
    (Done::ThrownAway, "thrown-away", "The draft is gone."),
    (Done::PhotoChanged, "photo-changed", "The photo is changed."),
    (Done::PhotoDeleted, "photo-deleted", "The photo is taken down. Its file is gone."),
    (
        Done::MessageSent,
        "sent",
        "It is on its way. It says “Waits” below until every server has taken it.",
    ),
    (Done::MovedToInbox, "to-inbox", "The letter is back in the inbox."),
    (Done::MovedToArchive, "to-archive", "The letter is kept, out of the inbox."),
    (Done::MovedToJunk, "to-junk", "The letter lies with the junk."),
    (Done::MovedToTrash, "to-bin", "The letter lies in the bin."),
    (Done::Moved, "moved", "The letter is back in its folder."),
    (Done::MarkedUnread, "unread", "The letter counts as unread again."),
    (Done::MessageDeleted, "deleted", "The letter is deleted for good."),
    (Done::FolderEmptied, "emptied", "All letters of this folder are deleted for good."),
    (Done::BinDaysSaved, "bin-days", "Saved."),
    (Done::FriendAdded, "let-in", "You are friends now."),
    (Done::RequestRejected, "not-now", "The request is answered with no."),
    (Done::FriendRemoved, "removed", "You are friends no longer, and your nodes no longer speak."),
    (Done::FriendBlocked, "blocked", "They are blocked: nothing of theirs comes in any more."),
    (Done::FriendUnblocked, "unblocked", "They may knock again."),
    (Done::AppPasswordRevoked, "revoked", "The password is revoked, and its programs are out."),
    (Done::SessionsEnded, "ended", "The login is ended."),
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

    /// The address of a page that shows it.
    pub(crate) fn at(self, path: &str) -> String {
        let Some((_, name, _)) = self.entry() else { return path.to_owned() };
        let (address, fragment) = path.find('#').map_or((path, ""), |at| path.split_at(at));
        let mark = if address.contains('?') { '&' } else { '?' };
        format!("{address}{mark}done={name}{fragment}")
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
            assert_eq!(done.at("/a#b"), format!("/a?done={name}#b"));
            assert_eq!(done.at("/a?b=c"), format!("/a?b=c&done={name}"));
            assert_eq!(done.text(), Some(text));
        }
        assert_eq!(Done::named("done=%3Cb%3E&done=published"), Done::Nothing);
        assert_eq!((Done::Nothing.at("/a"), Done::Nothing.text()), ("/a".to_owned(), None));
    }
}
