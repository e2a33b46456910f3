//! ENVELOPE (RFC 3501 7.4.2).

use super::super::print::Printer;
use super::address::{self, Entry};
use super::header;

/// Longest value of one field that is printed.
const VALUE_LEN_MAX: usize = 64 * 1024;

/// Prints the envelope of a header.
pub(crate) fn print(out: &mut Printer, bytes: &[u8]) {
    let text = |name: &str| {
        header::first(bytes, name).map(header::unfold).map(|mut value| {
            value.truncate(VALUE_LEN_MAX);
            value
        })
    };
    let list_of = |name: &str| header::first(bytes, name).map(address::parse).unwrap_or_default();
    let from = list_of("from");
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
    out.raw("(");
    for entry in list {
        match entry {
            Entry::Mailbox { name, local, host } => {
                out.raw("(")
                    .nstring(name.as_ref())
                    .raw(" NIL ")
                    .string(local)
                    .raw(" ")
                    .string(host)
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
