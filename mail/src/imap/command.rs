//! The commands: each has a file of its own with what it takes (`parse`) and what it does (`run`).

pub(crate) mod append;
pub(crate) mod authenticate;
pub(crate) mod capability;
pub(crate) mod close;
pub(crate) mod copy;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod enable;
pub(crate) mod expunge;
pub(crate) mod fetch;
pub(crate) mod id;
pub(crate) mod idle;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod lsub;
pub(crate) mod namespace;
pub(crate) mod rename;
pub(crate) mod search;
pub(crate) mod select;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod subscribe;

use super::cursor::{Bad, Cursor};

/// A command with the tag its answer carries.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tagged {
    pub(crate) tag: String,
    pub(crate) command: Command,
}

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Authenticate(authenticate::Authenticate),
    Capability,
    Check,
    Close,
    Copy(copy::Copy),
    Create(create::Create),
    Delete(delete::Delete),
    Enable(enable::Enable),
    Expunge(expunge::Expunge),
    Fetch(fetch::Fetch),
    Id,
    Idle,
    List(list::List),
    Login(login::Login),
    Logout,
    Lsub(lsub::Lsub),
    Namespace,
    Noop,
    Rename(rename::Rename),
    Search(search::Search),
    Select(select::Select),
    StartTls,
    Status(status::Status),
    Store(store::Store),
    Subscribe(subscribe::Subscribe),
    Unselect,
}

/// Whether a command names messages by sequence number or, with `UID` in front, by UID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// Sequence numbers.
    Number,
    /// UIDs.
    Uid,
}

/// A command that can't be read, with its tag where that much could be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) tag: Option<String>,
    pub(crate) bad: Bad,
}

/// Reads one whole command (RFC 3501 section 9, `command`). APPEND is not among them: it is read
/// while its message streams.
pub(crate) fn parse(bytes: &[u8]) -> Result<Tagged, Unreadable> {
    let mut cursor = Cursor::new(bytes);
    let tag = cursor.tag().map_err(|bad| Unreadable { tag: None, bad })?;
    match command(&mut cursor) {
        Ok(command) => Ok(Tagged { tag, command }),
        Err(bad) => Err(Unreadable { tag: Some(tag), bad }),
    }
}

fn command(cursor: &mut Cursor<'_>) -> Result<Command, Bad> {
    cursor.space()?;
    let name = cursor.atom()?.to_ascii_uppercase();
    let command = match name.as_str() {
        "UID" => {
            cursor.space()?;
            let name = cursor.atom()?.to_ascii_uppercase();
            match name.as_str() {
                "COPY" => Command::Copy(copy::Copy::parse(cursor, By::Uid, copy::Then::Keep)?),
                "EXPUNGE" => Command::Expunge(expunge::Expunge::parse(cursor, By::Uid)?),
                "FETCH" => Command::Fetch(fetch::Fetch::parse(cursor, By::Uid)?),
                "MOVE" => Command::Copy(copy::Copy::parse(cursor, By::Uid, copy::Then::Remove)?),
                "SEARCH" => Command::Search(search::Search::parse(cursor, By::Uid)?),
                "STORE" => Command::Store(store::Store::parse(cursor, By::Uid)?),
                _ => return Err(Bad("no such command takes UIDs")),
            }
        }
        "APPEND" => return Err(Bad("a message is missing")),
        "AUTHENTICATE" => Command::Authenticate(authenticate::Authenticate::parse(cursor)?),
        "CAPABILITY" => Command::Capability,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "COPY" => Command::Copy(copy::Copy::parse(cursor, By::Number, copy::Then::Keep)?),
        "CREATE" => Command::Create(create::Create::parse(cursor)?),
        "DELETE" => Command::Delete(delete::Delete::parse(cursor)?),
        "ENABLE" => Command::Enable(enable::Enable::parse(cursor)?),
        "EXAMINE" => Command::Select(select::Select::parse(cursor, select::Access::Read)?),
        "EXPUNGE" => Command::Expunge(expunge::Expunge::parse(cursor, By::Number)?),
        "FETCH" => Command::Fetch(fetch::Fetch::parse(cursor, By::Number)?),
        "ID" => id::parse(cursor)?,
        "IDLE" => Command::Idle,
        "LIST" => Command::List(list::List::parse(cursor)?),
        "LOGIN" => Command::Login(login::Login::parse(cursor)?),
        "LOGOUT" => Command::Logout,
        "LSUB" => Command::Lsub(lsub::Lsub::parse(cursor)?),
        "MOVE" => Command::Copy(copy::Copy::parse(cursor, By::Number, copy::Then::Remove)?),
        "NAMESPACE" => Command::Namespace,
        "NOOP" => Command::Noop,
        "RENAME" => Command::Rename(rename::Rename::parse(cursor)?),
        "SEARCH" => Command::Search(search::Search::parse(cursor, By::Number)?),
        "SELECT" => Command::Select(select::Select::parse(cursor, select::Access::Write)?),
        "STARTTLS" => Command::StartTls,
        "STATUS" => Command::Status(status::Status::parse(cursor)?),
        "STORE" => Command::Store(store::Store::parse(cursor, By::Number)?),
        "SUBSCRIBE" => Command::Subscribe(subscribe::Subscribe::parse(cursor, true)?),
        "UNSELECT" => Command::Unselect,
        "UNSUBSCRIBE" => Command::Subscribe(subscribe::Subscribe::parse(cursor, false)?),
        _ => return Err(Bad("unknown command")),
    };
    // Some programs leave a space behind the last word.
    cursor.eat(" ");
    cursor.done()?;
    Ok(command)
}
