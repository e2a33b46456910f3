//! Serializes a parsed command, with every string quoted.

use freehold_core::clock::Timestamp;

use crate::imap::command::fetch::item::{BodySection, Item};
use crate::imap::command::search::key::{Dated, Key, Order};
use crate::imap::command::search::query::Query;
use crate::imap::command::sort::criterion::Criterion;
use crate::imap::command::store::Sign;
use crate::imap::command::{Command, Tagged, copy, status};
use crate::imap::date::{self, Day};
use crate::imap::section::Text;
use crate::imap::selected::Access;
use crate::imap::sequence::{End, Numbering, Set};
use crate::imap::utf7;

pub(super) fn command(tagged: &Tagged) -> String {
    let body = match &tagged.command {
        Command::Login(login) => {
            format!("LOGIN {} {}", quoted(&login.user), quoted(&login.password))
        }
        Command::Select(select) => {
            format!(
                "{} {}",
                if select.access == Access::Write { "SELECT" } else { "EXAMINE" },
                mailbox(&select.name)
            )
        }
        Command::Create(create) => format!("CREATE {}", mailbox(&create.name)),
        Command::Delete(delete) => format!("DELETE {}", mailbox(&delete.name)),
        Command::Rename(rename) => {
            format!("RENAME {} {}", mailbox(&rename.from), mailbox(&rename.to))
        }
        Command::Subscribe(to) => format!(
            "{} {}",
            if to.subscribed { "SUBSCRIBE" } else { "UNSUBSCRIBE" },
            mailbox(&to.name)
        ),
        Command::List(list) => {
            format!("LIST {} {}", mailbox(&list.reference), mailbox(&list.patterns[0]))
        }
        Command::Lsub(lsub) => {
            format!("LSUB {} {}", mailbox(&lsub.reference), mailbox(&lsub.pattern))
        }
        Command::Status(status) => {
            let items: Vec<&str> = status.items.iter().map(status_item).collect();
            format!("STATUS {} ({})", mailbox(&status.name), items.join(" "))
        }
        Command::Copy(copy) => {
            let verb = if copy.mode == copy::CopyMode::Copy { "COPY" } else { "MOVE" };
            format!("{}{verb} {} {}", uid(copy.by), set(&copy.set), mailbox(&copy.to))
        }
        Command::Store(store) => {
            let sign = match store.sign {
                Sign::Add => "+",
                Sign::Remove => "-",
                Sign::Replace => "",
            };
            let silent = if store.silent { ".SILENT" } else { "" };
            format!(
                "{}STORE {} {sign}FLAGS{silent} ({})",
                uid(store.by),
                set(&store.set),
                store.flags.join(" ")
            )
        }
        Command::Fetch(fetch) => {
            let items: Vec<String> = fetch.items.iter().map(item).collect();
            format!("{}FETCH {} ({})", uid(fetch.by), set(&fetch.set), items.join(" "))
        }
        Command::Search(search) => format!("{}SEARCH {}", uid(search.by), keys(&search.query)),
        Command::Sort(sort) => {
            let criteria: Vec<String> = sort.criteria.iter().map(criterion).collect();
            let (by, keys) = (uid(sort.by), keys(&sort.query));
            format!("{by}SORT ({}) UTF-8 {keys}", criteria.join(" "))
        }
        Command::Thread(thread) => {
            let algorithm = format!("{:?}", thread.algorithm).to_uppercase();
            format!("{}THREAD {algorithm} UTF-8 {}", uid(thread.by), keys(&thread.query))
        }
        Command::Expunge(expunge) => expunge
            .uids
            .as_ref()
            .map_or_else(|| "EXPUNGE".to_owned(), |uids| format!("UID EXPUNGE {}", set(uids))),
        other => format!("{other:?}").to_uppercase(),
    };
    format!("{} {body}\r\n", tagged.tag)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn mailbox(name: &str) -> String {
    quoted(&utf7::encode(name))
}

fn uid(by: Numbering) -> &'static str {
    if by == Numbering::Uid { "UID " } else { "" }
}

fn set(set: &Set) -> String {
    let end = |end: &End| match end {
        End::Number(number) => number.to_string(),
        End::Largest => "*".to_owned(),
    };
    let range = |(from, to): &(End, End)| {
        if from == to { end(from) } else { format!("{}:{}", end(from), end(to)) }
    };
    set.ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

fn status_item(item: &status::Item) -> &'static str {
    match item {
        status::Item::Messages => "MESSAGES",
        status::Item::Recent => "RECENT",
        status::Item::UidNext => "UIDNEXT",
        status::Item::UidValidity => "UIDVALIDITY",
        status::Item::Unseen => "UNSEEN",
        other => panic!("{other:?} is not generated"),
    }
}

fn item(item: &Item) -> String {
    match item {
        Item::Body => "BODY".to_owned(),
        Item::BodyStructure => "BODYSTRUCTURE".to_owned(),
        Item::Envelope => "ENVELOPE".to_owned(),
        Item::Flags => "FLAGS".to_owned(),
        Item::InternalDate => "INTERNALDATE".to_owned(),
        Item::ModSeq => "MODSEQ".to_owned(),
        Item::Size => "RFC822.SIZE".to_owned(),
        Item::Uid => "UID".to_owned(),
        Item::Binary(_)
        | Item::BinarySize(_)
        | Item::EmailId
        | Item::Preview
        | Item::SaveDate
        | Item::ThreadId => {
            panic!("{item:?} is not generated")
        }
        Item::Section(BodySection { name, .. }) if name.starts_with(b"RFC822") => {
            String::from_utf8_lossy(name).into_owned()
        }
        Item::Section(wanted) => {
            let mut section: Vec<String> = wanted.section.path.iter().map(u32::to_string).collect();
            match &wanted.section.text {
                Text::Whole => {}
                Text::Header => section.push("HEADER".to_owned()),
                Text::Body => section.push("TEXT".to_owned()),
                Text::Mime => section.push("MIME".to_owned()),
                Text::Fields { not, names } => {
                    let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
                    section.push(format!(
                        "HEADER.FIELDS{} ({})",
                        if *not { ".NOT" } else { "" },
                        names.join(" ")
                    ));
                }
            }
            let partial =
                wanted.partial.map(|(from, len)| format!("<{from}.{len}>")).unwrap_or_default();
            format!(
                "BODY{}[{}]{partial}",
                if wanted.peek { ".PEEK" } else { "" },
                section.join(".")
            )
        }
    }
}

fn criterion(criterion: &Criterion) -> String {
    let name = format!("{:?}", criterion.key).to_uppercase();
    if criterion.is_reversed { format!("REVERSE {name}") } else { name }
}

fn keys(query: &Query) -> String {
    match &query.key {
        Key::And(keys) => keys.iter().map(key).collect::<Vec<_>>().join(" "),
        one => key(one),
    }
}

fn key(found: &Key) -> String {
    match found {
        Key::All => "ALL".to_owned(),
        Key::And(keys) => format!("({})", keys.iter().map(key).collect::<Vec<_>>().join(" ")),
        Key::Body(text) => format!("BODY {}", quoted(text)),
        Key::Text(text) => format!("TEXT {}", quoted(text)),
        Key::Date(dated, order, Day(day)) => {
            let sent = if *dated == Dated::Sent { "SENT" } else { "" };
            let order = match order {
                Order::Before => "BEFORE",
                Order::On => "ON",
                Order::Since => "SINCE",
            };
            let date = date::write(Timestamp(*day as u64 * 86_400_000));
            format!("{sent}{order} {}", date.trim().split(' ').next().unwrap_or_default())
        }
        Key::Flag(name) => match name.strip_prefix('\\') {
            Some(system) => system.to_owned(),
            None => format!("KEYWORD {name}"),
        },
        Key::Address(name, text) => format!("{name} {}", quoted(text)),
        Key::Header(name, text) if name == "SUBJECT" => format!("{name} {}", quoted(text)),
        Key::Header(name, text) => format!("HEADER {} {}", quoted(name), quoted(text)),
        Key::Larger(size) => format!("LARGER {size}"),
        Key::Smaller(size) => format!("SMALLER {size}"),
        Key::Not(inner) => match inner.as_ref() {
            Key::Flag(name) if name.starts_with('\\') => format!("UN{}", &name[1..]),
            Key::Flag(name) => format!("UNKEYWORD {name}"),
            other => format!("NOT {}", key(other)),
        },
        Key::Or(a, b) => format!("OR {} {}", key(a), key(b)),
        Key::Numbers(numbers) => set(numbers),
        Key::Uids(uids) => format!("UID {}", set(uids)),
        other => panic!("{other:?} is not generated"),
    }
}
