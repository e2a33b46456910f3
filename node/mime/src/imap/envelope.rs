//! ENVELOPE (RFC 3501 7.4.2).

use super::print::Printer;
use crate::address::{self, Entry};
use crate::header;

/// Longest value of one field that is printed, in bytes.
const VALUE_LEN_MAX: usize = 64 * 1024;
/// The mailbox of an entry that has none. NIL would make it a group (RFC 3501 7.4.2); other servers
/// print the same.
pub const NO_MAILBOX: &[u8] = b"MISSING_MAILBOX";
/// The same for its host.
const NO_HOST: &[u8] = b"MISSING_DOMAIN";

/// Prints the envelope of a header.
pub fn print(out: &mut Printer, bytes: &[u8]) {
    let text = |name: &str| {
        header::first(bytes, name).map(header::unfold).map(|mut value| {
            value.truncate(VALUE_LEN_MAX);
            value
        })
    };
    // RFC 5322 3.6 allows each field once, but a reply to all must reach everyone who is named.
    let list_of = |name: &str| -> Vec<Entry> {
        header::all(bytes, name).flat_map(address::parse).take(address::ADDRESSES_MAX).collect()
    };
    // Of several From fields the first with people counts, here as on the pages.
    let mut lists = header::all(bytes, "from").map(address::parse);
    let from = lists.find(|list| !list.is_empty()).unwrap_or_default();
    // RFC 3501 7.4.2: the server fills an absent or empty Sender or Reply-To with From.
    let or_from = |people: Vec<Entry>| if people.is_empty() { from.clone() } else { people };
    let (sender, reply_to) = (or_from(list_of("sender")), or_from(list_of("reply-to")));
    out.raw("(").nstring(text("date")).raw(" ").nstring(text("subject")).raw(" ");
    for list in [&from, &sender, &reply_to, &list_of("to"), &list_of("cc"), &list_of("bcc")] {
        addresses(out, list);
        out.raw(" ");
    }
    out.nstring(text("in-reply-to")).raw(" ").nstring(text("message-id")).raw(")");
}

fn addresses(out: &mut Printer, list: &[Entry]) {
    if list.is_empty() {
        out.raw("NIL");
        return;
    }
    let or = |value: &[u8], missing: &[u8]| -> Vec<u8> {
        if value.is_empty() { missing.to_vec() } else { value.to_vec() }
    };
    out.raw("(");
    for entry in list {
        match entry {
            Entry::Mailbox(mailbox) => {
                out.raw("(")
                    .nstring(mailbox.name.as_ref())
                    .raw(" ")
                    .nstring(mailbox.route.as_ref())
                    .raw(" ")
                    .string(or(&mailbox.local, NO_MAILBOX))
                    .raw(" ")
                    .string(or(&mailbox.host, NO_HOST))
                    .raw(")");
            }
            Entry::GroupStart(name) => {
                out.raw("(NIL NIL ").string(name).raw(" NIL)");
            }
            Entry::GroupEnd => {
                out.raw("(NIL NIL NIL NIL)");
            }
        }
    }
    out.raw(")");
}
