//! The commands. Each has a file with its arguments (`parse`) and its effect (`run`).

pub(crate) mod append;
pub(crate) mod authenticate;
pub(crate) mod capability;
pub(crate) mod close;
pub(crate) mod compress;
pub(crate) mod copy;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod enable;
pub(crate) mod expunge;
pub(crate) mod fetch;
pub(crate) mod get_metadata;
pub(crate) mod get_quota;
pub(crate) mod get_quota_root;
pub(crate) mod id;
pub(crate) mod idle;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod lsub;
pub(crate) mod namespace;
pub(crate) mod notify;
pub(crate) mod rename;
pub(crate) mod replace;
pub(crate) mod search;
pub(crate) mod select;
pub(crate) mod set_metadata;
pub(crate) mod set_quota;
pub(crate) mod sort;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod subscribe;
pub(crate) mod thread;

use self::copy::CopyMode;
use super::completion::Completion;
use super::cursor::{Cursor, SyntaxError};
use super::enabled::Enabled;
use super::selected::{Access, Numbers};
use super::sequence::Numbering;

/// A command with its tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tagged {
    pub(crate) tag: String,
    pub(crate) command: Command,
}

/// A parsed command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Authenticate(authenticate::Authenticate),
    /// A command on a folder whose name is no modified UTF-7.
    BadName,
    Capability,
    Check,
    Close,
    Compress,
    Copy(copy::Copy),
    Create(create::Create),
    Delete(delete::Delete),
    Enable(enable::Enable),
    Expunge(expunge::Expunge),
    Fetch(fetch::Fetch),
    GetMetadata(get_metadata::GetMetadata),
    GetQuota(get_quota::GetQuota),
    GetQuotaRoot(get_quota_root::GetQuotaRoot),
    Id,
    Idle,
    List(list::List),
    Login(login::Login),
    Logout,
    Lsub(lsub::Lsub),
    Namespace,
    Noop,
    Notify(notify::Notify),
    Rename(rename::Rename),
    Search(search::Search),
    Select(select::Select),
    SetMetadata(set_metadata::SetMetadata),
    SetQuota,
    Sort(sort::Sort),
    StartTls,
    Status(status::Status),
    Store(store::Store),
    Subscribe(subscribe::Subscribe),
    Thread(thread::Thread),
    Unselect,
}

impl Command {
    /// True if the command is valid only in the selected state (RFC 3501 6.4).
    pub(crate) fn needs_folder(&self) -> bool {
        matches!(
            self,
            Self::Check
                | Self::Close
                | Self::Copy(_)
                | Self::Expunge(_)
                | Self::Fetch(_)
                | Self::Search(_)
                | Self::Sort(_)
                | Self::Store(_)
                | Self::Thread(_)
                | Self::Unselect
        )
    }

    /// True if the command enables CONDSTORE (RFC 7162 3.1).
    pub(crate) fn enables_condstore(&self) -> bool {
        match self {
            Self::Enable(enable) => enable.enabled.condstore,
            Self::Fetch(fetch) => fetch.items.contains(&fetch::item::Item::ModSeq),
            Self::List(list) => list.status.contains(&status::Item::HighestModSeq),
            Self::Search(search) => search.query.key.has_modseq(),
            Self::Select(select) => select.condstore || select.resync.is_some(),
            Self::Sort(sort) => sort.query.key.has_modseq(),
            Self::Status(status) => status.items.contains(&status::Item::HighestModSeq),
            Self::Store(store) => store.unchanged_since.is_some(),
            Self::Thread(thread) => thread.query.key.has_modseq(),
            _ => false,
        }
    }

    /// True if the command itself may expunge messages of the selected folder.
    pub(crate) fn expunges(&self) -> bool {
        matches!(self, Self::Expunge(_))
            || matches!(self, Self::Copy(copy) if copy.mode == CopyMode::Move)
    }

    /// The permission to send EXPUNGE when the command ends.
    pub(crate) fn numbers_after(&self) -> Numbers {
        match self {
            Self::Store(store) => Numbers::after(store.by),
            _ => Numbers::MayChange,
        }
    }
}

/// A command that can't be parsed, with its tag if that could be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) tag: Option<String>,
    pub(crate) completion: Completion,
}

/// Parses one whole command (RFC 3501 section 9, `command`). APPEND and REPLACE are not among them:
/// they are parsed before their message is received.
pub(crate) fn parse(bytes: &[u8], enabled: Enabled) -> Result<Tagged, Malformed> {
    let mut cursor = Cursor::new(bytes).with(enabled);
    let tag = cursor.tag().map_err(|error| Malformed { tag: None, completion: error.into() })?;
    match command(&mut cursor) {
        Ok(command) => Ok(Tagged { tag, command }),
        Err(SyntaxError(text)) if cursor.is_over_limit() => {
            Err(Malformed { tag: Some(tag), completion: Completion::no(text).code("LIMIT") })
        }
        Err(error) => Err(Malformed { tag: Some(tag), completion: error.into() }),
    }
}

fn command(cursor: &mut Cursor<'_>) -> Result<Command, SyntaxError> {
    cursor.space()?;
    let name = cursor.atom()?.to_ascii_uppercase();
    let command = match name.as_str() {
        "UID" => {
            cursor.space()?;
            let name = cursor.atom()?.to_ascii_uppercase();
            match name.as_str() {
                "COPY" => Command::Copy(copy::Copy::parse(cursor, Numbering::Uid, CopyMode::Copy)?),
                "EXPUNGE" => Command::Expunge(expunge::Expunge::parse(cursor, Numbering::Uid)?),
                "FETCH" => Command::Fetch(fetch::Fetch::parse(cursor, Numbering::Uid)?),
                "MOVE" => Command::Copy(copy::Copy::parse(cursor, Numbering::Uid, CopyMode::Move)?),
                "REPLACE" => return Err(SyntaxError("a message is missing")),
                "SEARCH" => Command::Search(search::Search::parse(cursor, Numbering::Uid)?),
                "SORT" => Command::Sort(sort::Sort::parse(cursor, Numbering::Uid)?),
                "STORE" => Command::Store(store::Store::parse(cursor, Numbering::Uid)?),
                "THREAD" => Command::Thread(thread::Thread::parse(cursor, Numbering::Uid)?),
                _ => return Err(SyntaxError("no such command takes UIDs")),
            }
        }
        "APPEND" | "REPLACE" => return Err(SyntaxError("a message is missing")),
        "AUTHENTICATE" => Command::Authenticate(authenticate::Authenticate::parse(cursor)?),
        "CAPABILITY" => Command::Capability,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "COMPRESS" => compress::parse(cursor).map(|()| Command::Compress)?,
        "COPY" => Command::Copy(copy::Copy::parse(cursor, Numbering::Sequence, CopyMode::Copy)?),
        "CREATE" => Command::Create(create::Create::parse(cursor)?),
        "DELETE" => Command::Delete(delete::Delete::parse(cursor)?),
        "ENABLE" => Command::Enable(enable::Enable::parse(cursor)?),
        "EXAMINE" => Command::Select(select::Select::parse(cursor, Access::Read)?),
        "EXPUNGE" => Command::Expunge(expunge::Expunge::parse(cursor, Numbering::Sequence)?),
        "FETCH" => Command::Fetch(fetch::Fetch::parse(cursor, Numbering::Sequence)?),
        "GETMETADATA" => Command::GetMetadata(get_metadata::GetMetadata::parse(cursor)?),
        "GETQUOTA" => Command::GetQuota(get_quota::GetQuota::parse(cursor)?),
        "GETQUOTAROOT" => Command::GetQuotaRoot(get_quota_root::GetQuotaRoot::parse(cursor)?),
        "ID" => id::parse(cursor)?,
        "IDLE" => Command::Idle,
        "LIST" => Command::List(list::List::parse(cursor)?),
        "LOGIN" => Command::Login(login::Login::parse(cursor)?),
        "LOGOUT" => Command::Logout,
        "LSUB" => Command::Lsub(lsub::Lsub::parse(cursor)?),
        "MOVE" => Command::Copy(copy::Copy::parse(cursor, Numbering::Sequence, CopyMode::Move)?),
        "NAMESPACE" => Command::Namespace,
        "NOOP" => Command::Noop,
        "NOTIFY" => Command::Notify(notify::Notify::parse(cursor)?),
        "RENAME" => Command::Rename(rename::Rename::parse(cursor)?),
        "SEARCH" => Command::Search(search::Search::parse(cursor, Numbering::Sequence)?),
        "SELECT" => Command::Select(select::Select::parse(cursor, Access::Write)?),
        "SETMETADATA" => Command::SetMetadata(set_metadata::SetMetadata::parse(cursor)?),
        "SETQUOTA" => set_quota::parse(cursor)?,
        "SORT" => Command::Sort(sort::Sort::parse(cursor, Numbering::Sequence)?),
        "STARTTLS" => Command::StartTls,
        "STATUS" => Command::Status(status::Status::parse(cursor)?),
        "STORE" => Command::Store(store::Store::parse(cursor, Numbering::Sequence)?),
        "SUBSCRIBE" => Command::Subscribe(subscribe::Subscribe::parse(cursor, true)?),
        "THREAD" => Command::Thread(thread::Thread::parse(cursor, Numbering::Sequence)?),
        "UNSELECT" => Command::Unselect,
        "UNSUBSCRIBE" => Command::Subscribe(subscribe::Subscribe::parse(cursor, false)?),
        _ => return Err(SyntaxError("unknown command")),
    };
    // Some programs send a space after the last argument.
    cursor.eat(" ");
    cursor.done()?;
    Ok(if cursor.has_bad_name() { Command::BadName } else { command })
}
