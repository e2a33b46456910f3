//! Strategies for commands, valid ones and ones with one octet changed.

use proptest::prelude::*;
use proptest::sample::select;

/// One command of RFC 3501, its strings quoted, with its line end.
pub(super) fn command() -> impl Strategy<Value = String> {
    let body = prop_oneof![
        select(vec![
            "NOOP",
            "CAPABILITY",
            "LOGOUT",
            "CHECK",
            "CLOSE",
            "EXPUNGE",
            "UNSELECT",
            "NAMESPACE",
            "IDLE",
            "STARTTLS"
        ])
        .prop_map(str::to_owned),
        (quoted(), quoted()).prop_map(|(user, password)| format!("LOGIN {user} {password}")),
        (select(vec!["SELECT", "EXAMINE", "CREATE", "DELETE", "SUBSCRIBE", "UNSUBSCRIBE"]), name())
            .prop_map(|(verb, name)| format!("{verb} {name}")),
        (name(), name()).prop_map(|(from, to)| format!("RENAME {from} {to}")),
        (select(vec!["LIST", "LSUB"]), name(), pattern())
            .prop_map(|(verb, reference, pattern)| format!("{verb} {reference} {pattern}")),
        (name(), some(vec!["MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN"]))
            .prop_map(|(name, items)| format!("STATUS {name} {items}")),
        (by(), select(vec!["COPY", "MOVE"]), set(), name())
            .prop_map(|(by, verb, set, name)| format!("{by}{verb} {set} {name}")),
        (
            by(),
            set(),
            select(vec!["", "+", "-"]),
            select(vec!["", ".SILENT"]),
            some(vec!["\\Seen", "\\Deleted", "$Junk", "Work"])
        )
            .prop_map(|(by, set, sign, silent, flags)| format!(
                "{by}STORE {set} {sign}FLAGS{silent} {flags}"
            )),
        (set(), proptest::collection::vec(item(), 1..4))
            .prop_map(|(set, items)| format!("FETCH {set} ({})", items.join(" "))),
        (set(), proptest::collection::vec(item(), 0..4)).prop_map(|(set, items)| format!(
            "UID FETCH {set} ({})",
            [vec!["UID".to_owned()], items].concat().join(" ")
        )),
        (by(), proptest::collection::vec(key(), 2..4))
            .prop_map(|(by, keys)| format!("{by}SEARCH {}", keys.join(" "))),
        (
            by(),
            proptest::collection::vec(criterion(), 1..4),
            proptest::collection::vec(key(), 2..4)
        )
            .prop_map(|(by, criteria, keys)| format!(
                "{by}SORT ({}) UTF-8 {}",
                criteria.join(" "),
                keys.join(" ")
            )),
        (
            by(),
            select(vec!["REFERENCES", "ORDEREDSUBJECT"]),
            proptest::collection::vec(key(), 2..4)
        )
            .prop_map(|(by, algorithm, keys)| format!(
                "{by}THREAD {algorithm} UTF-8 {}",
                keys.join(" ")
            )),
        set().prop_map(|set| format!("UID EXPUNGE {set}")),
    ];
    ("[a-zA-Z0-9.]{1,5}", body).prop_map(|(tag, body)| format!("{tag} {body}\r\n"))
}

/// The same with one character replaced, inserted or removed.
pub(super) fn damaged() -> impl Strategy<Value = String> {
    (
        command(),
        any::<proptest::sample::Index>(),
        0..3u8,
        select(vec!['(', ')', ' ', '"', '\\', '*', ',', ':', '0', 'x', '[', ']', '<', '.', '%']),
    )
        .prop_map(|(command, at, how, new)| {
            let mut chars: Vec<char> = command.trim_end().chars().collect();
            let at = at.index(chars.len());
            match how {
                0 => chars[at] = new,
                1 => chars.insert(at, new),
                _ => drop(chars.remove(at)),
            }
            chars.into_iter().chain("\r\n".chars()).collect()
        })
}

fn criterion() -> impl Strategy<Value = String> {
    let keys =
        vec!["ARRIVAL", "CC", "DATE", "DISPLAYFROM", "DISPLAYTO", "FROM", "SIZE", "SUBJECT", "TO"];
    (select(vec!["", "REVERSE "]), select(keys)).prop_map(|(order, key)| format!("{order}{key}"))
}

fn by() -> impl Strategy<Value = &'static str> {
    select(vec!["", "UID "])
}

fn quoted() -> impl Strategy<Value = String> {
    "[ !#-\\[\\]-~]{0,12}".prop_map(|text| format!("\"{text}\""))
}

/// A name without `&`, which imap-codec does not decode, and never INBOX, for which it has a type
/// of its own.
fn name() -> impl Strategy<Value = String> {
    "x[ !#-%'-\\[\\]-~]{0,10}".prop_map(|text| format!("\"{text}\""))
}

fn pattern() -> impl Strategy<Value = String> {
    "[a-z%*/]{1,8}".prop_map(|text| format!("\"{text}\""))
}

fn set() -> impl Strategy<Value = String> {
    let end = prop_oneof![4 => (1..5_000u32).prop_map(|number| number.to_string()), 1 => Just("*".to_owned()), 1 => Just(u32::MAX.to_string())];
    // Our parser reads a range with equal ends as one number.
    let range = (end.clone(), proptest::option::of(end)).prop_map(|(from, to)| match to {
        Some(to) if to != from => format!("{from}:{to}"),
        _ => from,
    });
    proptest::collection::vec(range, 1..4).prop_map(|ranges| ranges.join(","))
}

fn some(words: Vec<&'static str>) -> impl Strategy<Value = String> {
    let most = words.len();
    proptest::sample::subsequence(words, 1..=most)
        .prop_map(|words| format!("({})", words.join(" ")))
}

fn item() -> impl Strategy<Value = String> {
    let part = proptest::collection::vec(1..9u32, 0..3)
        .prop_map(|path| path.iter().map(u32::to_string).collect::<Vec<_>>().join("."));
    let fields = (
        select(vec!["HEADER.FIELDS", "HEADER.FIELDS.NOT"]),
        proptest::collection::vec("\"[A-Za-z-]{1,9}\"", 1..4),
    );
    let text = prop_oneof![
        select(vec!["HEADER", "TEXT", "MIME"]).prop_map(str::to_owned),
        fields.prop_map(|(name, fields)| format!("{name} ({})", fields.join(" "))),
    ];
    let section = (part, proptest::option::of(text)).prop_map(|(part, text)| match text {
        Some(text) if !part.is_empty() => format!("{part}.{text}"),
        Some(text) => text.replace("MIME", "TEXT"),
        None => part,
    });
    let partial = proptest::option::of((0..5_000u32, 1..5_000u32)).prop_map(|partial| {
        partial.map(|(from, len)| format!("<{from}.{len}>")).unwrap_or_default()
    });
    prop_oneof![
        select(vec![
            "FLAGS",
            "UID",
            "INTERNALDATE",
            "ENVELOPE",
            "BODY",
            "BODYSTRUCTURE",
            "RFC822",
            "RFC822.HEADER",
            "RFC822.SIZE",
            "RFC822.TEXT"
        ])
        .prop_map(str::to_owned),
        (select(vec!["BODY", "BODY.PEEK"]), section, partial)
            .prop_map(|(body, section, partial)| format!("{body}[{section}]{partial}")),
    ]
}

fn key() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        Just("ALL".to_owned()),
        (select(vec!["BCC", "CC", "FROM", "SUBJECT", "TO", "BODY", "TEXT"]), quoted())
            .prop_map(|(key, text)| format!("{key} {text}")),
        quoted().prop_map(|text| format!("HEADER \"X-Spam\" {text}")),
        (
            select(vec!["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"]),
            1..28u32,
            select(vec!["Jan", "Feb", "Dec"]),
            1970..2100u32
        )
            .prop_map(|(key, day, month, year)| format!("{key} {day}-{month}-{year}")),
        (select(vec!["LARGER", "SMALLER"]), any::<u32>())
            .prop_map(|(key, size)| format!("{key} {size}")),
        set(),
        set().prop_map(|set| format!("UID {set}")),
    ];
    let flag = select(vec![
        "SEEN",
        "UNSEEN",
        "DELETED",
        "UNDELETED",
        "FLAGGED",
        "ANSWERED",
        "UNDRAFT",
        "KEYWORD Work",
        "UNKEYWORD $Junk",
    ])
    .prop_map(str::to_owned);
    let leaf = prop_oneof![plain.clone(), flag];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            plain.clone().prop_map(|key| format!("NOT {key}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("OR {a} {b}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} {b})")),
        ]
    })
}
