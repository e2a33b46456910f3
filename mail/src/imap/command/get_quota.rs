//! GETQUOTA (RFC 9208 4.1.1). The whole mailbox has one quota root, whose name is empty.

use freehold_core::mailbox::{self, Quota};

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};

/// The unit of STORAGE, in octets (RFC 9208 5.1).
const STORAGE_UNIT: u64 = 1024;
/// The largest number in a response (RFC 9051 section 9, `number64`).
const NUMBER_MAX: u64 = i64::MAX.unsigned_abs();

/// The quota root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GetQuota {
    pub(crate) root: Vec<u8>,
}

impl GetQuota {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        Ok(Self { root: cursor.astring()? })
    }
}

/// Prints the usage and the limits.
pub(crate) fn run(cx: &mut Context, get: &GetQuota) -> Result<Completion, Completion> {
    if !get.root.is_empty() {
        return Err(Completion::no("no such quota root").code("NONEXISTENT"));
    }
    print(cx)?;
    Ok(Completion::ok("quota printed"))
}

/// One untagged QUOTA. STORAGE is left out if the free space can't be read: a resource in the list
/// has a limit.
pub(crate) fn print(cx: &mut Context) -> Result<(), Completion> {
    let Quota { size, size_max, messages, messages_max } = mailbox::quota(&cx.node)?;
    cx.out.raw("* QUOTA \"\" (");
    if let Some(size_max) = size_max {
        let used = size.div_ceil(STORAGE_UNIT);
        let limit = (size_max / STORAGE_UNIT).clamp(used, NUMBER_MAX);
        cx.out.show(format_args!("STORAGE {used} {limit} "));
    }
    cx.out.show(format_args!("MESSAGE {messages} {messages_max}"));
    cx.out.line(")");
    Ok(())
}
