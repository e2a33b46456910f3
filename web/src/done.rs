//! The outcome of a form, shown in one line on the next page. The redirect names it in
//! its query, so a reload or a shared address only shows the line again.

use std::convert::Infallible;

use askama::Template;
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
    NoteSaid,
    PhotoAdded,
    PhotoPut,
    PhotoChanged,
    PhotoDeleted,
    MessageSent,
    MessageHeld,
    MessageRetried,
    MessageDropped,
    MessageScheduled,
    MessageTakenBack,
    TooLate,
    MovedToInbox,
    MovedToArchive,
    MovedToJunk,
    MovedToTrash,
    TakenBackToTrash,
    GoesOnFromTrash,
    Moved,
    MarkedUnread,
    MessageDeleted,
    FolderEmptied,
    MessagesMoved,
    MessagesBack,
    MessagesMarked,
    MessagesDeleted,
    NothingChosen,
    MessagesGone,
    Gone,
    GoneToInbox,
    GoneToArchive,
    GoneToJunk,
    GoneToTrash,
    GoneElsewhere,
    HeldReleased,
    HeldDropped,
    BinDaysSaved,
    KeysOn,
    KeysOff,
    SenderAllowed,
    SenderBlocked,
    SenderUnlisted,
    PicturesAlways,
    TooManyPictureSenders,
    PicturesNotAlways,
    AddressMade,
    RuleMade,
    RuleRemoved,
    ListLeft,
    LeaveMailSent,
    ListNotLeft,
    FriendAdded,
    RequestRejected,
    FriendRemoved,
    FriendBlocked,
    FriendUnblocked,
    AppPasswordRevoked,
    SessionsEnded,
    SettingsSaved,
    PasswordChanged,
}

/// The names of the outcomes in addresses.
const NAMES: [(Done, &str); 66] = [
    (Done::Published, "published"),
    (Done::Changed, "changed"),
    (Done::Unchanged, "unchanged"),
    (Done::Saved, "saved"),
    (Done::Withdrawn, "withdrawn"),
    (Done::ThrownAway, "thrown-away"),
    (Done::NoteSaid, "said"),
    (Done::PhotoAdded, "photo-added"),
    (Done::PhotoPut, "photo-put"),
    (Done::PhotoChanged, "photo-changed"),
    (Done::PhotoDeleted, "photo-deleted"),
    (Done::MessageSent, "sent"),
    (Done::MessageHeld, "held"),
    (Done::MessageRetried, "retried"),
    (Done::MessageDropped, "dropped"),
    (Done::MessageScheduled, "scheduled"),
    (Done::MessageTakenBack, "taken-back"),
    (Done::TooLate, "too-late"),
    (Done::MovedToInbox, "to-inbox"),
    (Done::MovedToArchive, "to-archive"),
    (Done::MovedToJunk, "to-junk"),
    (Done::MovedToTrash, "to-bin"),
    (Done::TakenBackToTrash, "back-to-bin"),
    (Done::GoesOnFromTrash, "goes-on"),
    (Done::Moved, "moved"),
    (Done::MarkedUnread, "unread"),
    (Done::MessageDeleted, "deleted"),
    (Done::FolderEmptied, "emptied"),
    (Done::MessagesMoved, "letters-moved"),
    (Done::MessagesBack, "letters-back"),
    (Done::MessagesMarked, "letters-marked"),
    (Done::MessagesDeleted, "letters-deleted"),
    (Done::NothingChosen, "nothing-chosen"),
    (Done::MessagesGone, "letters-gone"),
    (Done::Gone, "gone"),
    (Done::GoneToInbox, "gone-to-inbox"),
    (Done::GoneToArchive, "gone-to-archive"),
    (Done::GoneToJunk, "gone-to-junk"),
    (Done::GoneToTrash, "gone-to-bin"),
    (Done::GoneElsewhere, "gone-elsewhere"),
    (Done::HeldReleased, "held-released"),
    (Done::HeldDropped, "held-dropped"),
    (Done::BinDaysSaved, "bin-days"),
    (Done::KeysOn, "keys-on"),
    (Done::KeysOff, "keys-off"),
    (Done::SenderAllowed, "sender-in"),
    (Done::SenderBlocked, "sender-out"),
    (Done::SenderUnlisted, "sender-off"),
    (Done::PicturesAlways, "pictures-always"),
    (Done::TooManyPictureSenders, "pictures-too-many"),
    (Done::PicturesNotAlways, "pictures-asked"),
    (Done::AddressMade, "address-made"),
    (Done::RuleMade, "rule-made"),
    (Done::RuleRemoved, "rule-removed"),
    (Done::ListLeft, "list-left"),
    (Done::LeaveMailSent, "leave-sent"),
    (Done::ListNotLeft, "list-not-left"),
    (Done::FriendAdded, "let-in"),
    (Done::RequestRejected, "not-now"),
    (Done::FriendRemoved, "removed"),
    (Done::FriendBlocked, "blocked"),
    (Done::FriendUnblocked, "unblocked"),
    (Done::AppPasswordRevoked, "revoked"),
    (Done::SessionsEnded, "ended"),
    (Done::SettingsSaved, "settings"),
    (Done::PasswordChanged, "password"),
];

/// The line about an outcome.
#[derive(Template)]
#[template(path = "layout/done.txt")]
struct Line {
    done: Done,
}

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
        let named = NAMES.iter().find(|(_, known)| Some(*known) == name);
        named.map_or(Self::Nothing, |(done, _)| *done)
    }

    /// The address of a page that shows it.
    pub(crate) fn at(self, path: &str) -> String {
        let Some((_, name)) = NAMES.iter().find(|(done, _)| *done == self) else {
            return path.to_owned();
        };
        let (address, fragment) = path.find('#').map_or((path, ""), |at| path.split_at(at));
        let mark = if address.contains('?') { '&' } else { '?' };
        format!("{address}{mark}done={name}{fragment}")
    }

    /// The line; `None` if there is nothing to say.
    pub(crate) fn text(self) -> Option<String> {
        let line = Line { done: self }.render().ok()?;
        Some(line.trim().to_owned()).filter(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_of_an_outcome_leads_back_to_it() {
        for (done, name) in NAMES {
            assert_eq!(Done::named(&format!("a=b&done={name}")), done);
            assert_eq!(done.at("/a#b"), format!("/a?done={name}#b"));
            assert_eq!(done.at("/a?b=c"), format!("/a?b=c&done={name}"));
            assert!(done.text().is_some(), "{name}");
        }
        assert_eq!(Done::named("done=%3Cb%3E&done=published"), Done::Nothing);
        assert_eq!((Done::Nothing.at("/a"), Done::Nothing.text()), ("/a".to_owned(), None));
    }
}
