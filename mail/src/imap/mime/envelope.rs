//! ENVELOPE (RFC 3501 7.4.2): the header's essentials as a list.

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
    let people = |name: &str| header::first(bytes, name).map(address::parse).unwrap_or_default();
    let from = people("from");
    // RFC 3501 7.4.2: the server fills an absent or empty Sender or Reply-To with From.
    let or_from = |people: Vec<Entry>| if people.is_empty() { from.clone() } else { people };
    let (sender, reply_to) = (or_from(people("sender")), or_from(people("reply-to")));
    out.raw("(").nstring(text("date")).raw(" ").nstring(text("subject")).raw(" ");
    for list in [&from, &sender, &reply_to, &people("to"), &people("cc"), &people("bcc")] {
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
