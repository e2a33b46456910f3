//! NOTIFY (RFC 5465): the client says which changes it wants reported, in which folders.

use crate::imap::command::fetch::item::Item;
use crate::imap::completion::Completion;
use crate::imap::cursor::{Cursor, SyntaxError};

/// Most groups of events in one command.
const GROUPS_MAX: usize = 50;
/// Most folders named in one command.
const NAMES_MAX: usize = 1_000;
/// The events that are supported, as BADEVENT lists them. AnnotationChange needs RFC 5257.
const SUPPORTED: &str = "MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange \
                         MailboxMetadataChange ServerMetadataChange";

/// The command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Notify {
    /// `NONE`: changes are reported as without NOTIFY.
    None,
    /// `SET`.
    Set(Request),
}

/// The changes that the client wants reported.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// The STATUS of each folder whose messages are watched is wanted at once.
    pub(crate) status: bool,
    /// Without it nothing of the selected folder is wanted (RFC 5465 3.1).
    pub(crate) selected: Option<SelectedGroup>,
    /// The first group that a folder is in has its events (RFC 5465 6).
    pub(crate) groups: Vec<Group>,
    refusal: Option<Refusal>,
}

/// Why a well-formed command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It names an event that is not supported.
    BadEvent,
    /// It is over a limit.
    TooMuch,
}

/// The events of the selected folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SelectedGroup {
    /// `selected-delayed`: an EXPUNGE waits for a command that permits it.
    pub(crate) is_delayed: bool,
    pub(crate) events: Events,
    /// The items of new messages.
    pub(crate) items: Vec<Item>,
}

/// The events of some other folders.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) filter: Filter,
    pub(crate) events: Events,
}

/// Which folders are in a group (RFC 5465 6.2 to 6.6).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    Inboxes,
    Personal,
    Subscribed,
    Subtree(Vec<String>),
    Mailboxes(Vec<String>),
}

/// A set of events (RFC 5465 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Events {
    /// MessageNew and MessageExpunge, which go together.
    pub(crate) messages: bool,
    pub(crate) flags: bool,
    pub(crate) names: bool,
    pub(crate) subscriptions: bool,
    /// MailboxMetadataChange.
    pub(crate) annotations: bool,
    /// ServerMetadataChange, which is of no folder.
    pub(crate) server_annotations: bool,
}

impl Events {
    /// True for events that are not those of messages.
    fn has_others(self) -> bool {
        self.names || self.subscriptions || self.annotations || self.server_annotations
    }
}

/// The events of one group, as they are parsed.
#[derive(Debug, Default)]
struct Named {
    events: Events,
    has_new: bool,
    has_expunge: bool,
    is_unsupported: bool,
    items: Option<Vec<Item>>,
}

impl Notify {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "NONE" => Ok(Self::None),
            "SET" => Request::parse(cursor).map(Self::Set),
            _ => Err(SyntaxError("NOTIFY takes SET or NONE")),
        }
    }
}

impl Request {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let mut request = Self { status: cursor.eat(" STATUS"), ..Self::default() };
        let mut names = 0usize;
        let mut groups = 0usize;
        while cursor.eat(" (") {
            names = names.saturating_add(request.group(cursor)?);
            cursor.expect(")", "a group of events is not closed")?;
            groups = groups.saturating_add(1);
        }
        if groups == 0 {
            return Err(SyntaxError("NOTIFY SET has no group of events"));
        }
        if groups > GROUPS_MAX || names > NAMES_MAX {
            request.refusal = Some(Refusal::TooMuch);
        }
        Ok(request)
    }

    /// One group; returns the number of folders that it names.
    fn group(&mut self, cursor: &mut Cursor<'_>) -> Result<usize, SyntaxError> {
        let filter = match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SELECTED" => return self.selected(cursor, false),
            "SELECTED-DELAYED" => return self.selected(cursor, true),
            "INBOXES" => Filter::Inboxes,
            "PERSONAL" => Filter::Personal,
            "SUBSCRIBED" => Filter::Subscribed,
            "SUBTREE" => Filter::Subtree(folders(cursor)?),
            "MAILBOXES" => Filter::Mailboxes(folders(cursor)?),
            _ => return Err(SyntaxError("unknown kind of folders")),
        };
        let count = match &filter {
            Filter::Subtree(names) | Filter::Mailboxes(names) => names.len(),
            _ => 0,
        };
        let named = Named::parse(cursor)?;
        if named.items.is_some() {
            return Err(SyntaxError("items are fetched of the selected folder alone"));
        }
        let events = self.checked(&named)?;
        self.groups.push(Group { filter, events });
        Ok(count)
    }

    fn selected(
        &mut self,
        cursor: &mut Cursor<'_>,
        is_delayed: bool,
    ) -> Result<usize, SyntaxError> {
        let named = Named::parse(cursor)?;
        if named.events.has_others() {
            // RFC 5465 6.1.
            return Err(SyntaxError("the selected folder has events of messages alone"));
        }
        let events = self.checked(&named)?;
        let mut items = named.items.unwrap_or_default();
        if !items.is_empty() && !items.contains(&Item::Uid) {
            items.insert(0, Item::Uid);
        }
        match self.selected.replace(SelectedGroup { is_delayed, events, items }) {
            None => Ok(0),
            Some(_) => Err(SyntaxError("the selected folder is named twice")),
        }
    }

    /// The events of a group, if they go together (RFC 5465 5).
    fn checked(&mut self, named: &Named) -> Result<Events, SyntaxError> {
        if named.is_unsupported {
            self.refusal = Some(Refusal::BadEvent);
            return Ok(named.events);
        }
        if named.has_new != named.has_expunge {
            return Err(SyntaxError("MessageNew and MessageExpunge go together"));
        }
        if named.events.flags && !named.has_new {
            return Err(SyntaxError("FlagChange needs MessageNew and MessageExpunge"));
        }
        Ok(Events { messages: named.has_new, ..named.events })
    }

    /// True if changes of annotations are wanted.
    pub(crate) fn wants_annotations(&self) -> bool {
        self.groups.iter().any(|group| group.events.annotations || group.events.server_annotations)
    }

    /// The refusal of a command that can't be done (RFC 5465 3.1).
    pub(crate) fn refusal(&self) -> Option<Completion> {
        Some(match self.refusal? {
            Refusal::BadEvent => {
                Completion::no("an event is not supported").code(format!("BADEVENT ({SUPPORTED})"))
            }
            Refusal::TooMuch => too_much("too many groups or folders"),
        })
    }
}

/// The refusal of a command that asks for too much (RFC 5465 5.8).
pub(crate) fn too_much(text: &'static str) -> Completion {
    Completion::no(text).code("NOTIFICATIONOVERFLOW")
}

impl Named {
    /// `NONE` or `(event event …)`, with the space in front.
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let mut named = Self::default();
        cursor.space()?;
        if cursor.eat("NONE") {
            return Ok(named);
        }
        let count = cursor.list(|cursor| named.event(cursor))?.len();
        if count == 0 { Err(SyntaxError("a group has no events")) } else { Ok(named) }
    }

    fn event(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "MESSAGENEW" => {
                self.has_new = true;
                if cursor.rest().starts_with(b" (") {
                    cursor.space()?;
                    self.items = Some(Item::parse_all(cursor)?);
                }
            }
            "MESSAGEEXPUNGE" => self.has_expunge = true,
            "FLAGCHANGE" => self.events.flags = true,
            "MAILBOXNAME" => self.events.names = true,
            "SUBSCRIPTIONCHANGE" => self.events.subscriptions = true,
            "MAILBOXMETADATACHANGE" => self.events.annotations = true,
            "SERVERMETADATACHANGE" => self.events.server_annotations = true,
            _ => self.is_unsupported = true,
        }
        Ok(())
    }
}

/// `one-or-more-mailbox`, with the space in front.
fn folders(cursor: &mut Cursor<'_>) -> Result<Vec<String>, SyntaxError> {
    cursor.space()?;
    let names = match cursor.peek() {
        Some(b'(') => cursor.list(Cursor::mailbox)?,
        _ => vec![cursor.mailbox()?],
    };
    if names.is_empty() { Err(SyntaxError("no folders are named")) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Notify, SyntaxError> {
        let mut cursor = Cursor::new(text.as_bytes());
        let notify = Notify::parse(&mut cursor)?;
        cursor.done()?;
        Ok(notify)
    }

    #[test]
    fn notify_groups_are_parsed() {
        assert_eq!(parse(" none"), Ok(Notify::None));
        let text = " set status (selected (MessageNew (FLAGS BODY.PEEK[TEXT]) MessageExpunge)) \
                    (subtree (A \"B c\") (MailboxName)) (mailboxes INBOX NONE) \
                    (personal (MessageNew FlagChange MessageExpunge))";
        let Ok(Notify::Set(request)) = parse(text) else { panic!("{:?}", parse(text)) };
        let selected = request.selected.as_ref().unwrap();
        assert_eq!((request.status, selected.items.len(), selected.is_delayed), (true, 3, false));
        assert_eq!(request.groups[0].filter, Filter::Subtree(vec!["A".into(), "B c".into()]));
        assert_eq!(request.groups[1].events, Events::default());
        assert!(request.groups[2].events.messages && request.groups[2].events.flags);
        assert!(request.refusal().is_none());
    }

    #[test]
    fn notify_of_unknown_or_too_many_events_is_refused() {
        for text in [" SET (personal (AnnotationChange))", " SET (selected (X-New MailboxName2))"] {
            let Ok(Notify::Set(request)) = parse(text) else { panic!("{text}") };
            assert_eq!(request.refusal, Some(Refusal::BadEvent));
        }
        let many = format!(" SET{}", " (personal NONE)".repeat(GROUPS_MAX + 1));
        let Ok(Notify::Set(request)) = parse(&many) else { panic!("{many}") };
        assert_eq!(request.refusal, Some(Refusal::TooMuch));
    }

    #[test]
    fn malformed_notify_is_refused() {
        for text in [
            "",
            " SET",
            " SET STATUS",
            " NONE STATUS",
            " SET (personal)",
            " SET (personal ())",
            " SET (personal MailboxName)",
            " SET (personal (MessageNew))",
            " SET (personal (MessageExpunge FlagChange))",
            " SET (selected (FlagChange))",
            " SET (selected (MailboxName))",
            " SET (selected (MailboxMetadataChange))",
            " SET (selected-delayed (ServerMetadataChange))",
            " SET (selected NONE) (selected-delayed NONE)",
            " SET (personal (MessageNew (UID) MessageExpunge))",
            " SET (selected (MessageNew () MessageExpunge))",
            " SET (subtree () (MailboxName))",
            " SET (others (MailboxName))",
            " SET (personal (MailboxName)",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
