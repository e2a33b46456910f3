//! Address lists: common, obsolete, malformed.

use super::*;

fn person(name: &str, local: &str, host: &str) -> Entry {
    let name = Some(name.as_bytes().to_vec()).filter(|name| !name.is_empty());
    Entry::Mailbox(Mailbox { name, route: None, local: local.into(), host: host.into() })
}

#[test]
fn common_address_forms_are_parsed() {
    assert_eq!(parse(b" a@b "), [person("", "a", "b")]);
    assert_eq!(
        parse(b"Ann  B. <a@b>,\r\n \"C, D\" <\"c d\"@e>"),
        [person("Ann B.", "a", "b"), person("C, D", "c d", "e")]
    );
    assert_eq!(parse(b"a@b (Ann (the first))"), [person("Ann (the first)", "a", "b")]);
    assert_eq!(
        parse(b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= <a@b>"),
        [person("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "a", "b")]
    );
    assert_eq!(parse(b"root"), [person("", "root", "")]);
    assert_eq!(parse(b"\"c d\"@e"), [person("", "c d", "e")]);
    assert_eq!(parse(b"a@[IPv6:::1]"), [person("", "a", "[IPv6:::1]")]);
    assert_eq!(parse(b""), []);
    assert_eq!(parse(b", ,,"), []);
}

#[test]
fn obsolete_address_forms_are_parsed() {
    let Entry::Mailbox(routed) = parse(b"<@x,@y:a@b>").remove(0) else { panic!("no mailbox") };
    assert_eq!(routed.route.as_deref(), Some(&b"@x,@y"[..]));
    assert_eq!((routed.local.as_slice(), routed.host.as_slice()), (&b"a"[..], &b"b"[..]));
    assert_eq!(parse(b"ann . b @ c . d"), [person("", "ann.b", "c.d")]);
    assert_eq!(parse(b"<ann (x) @ (y) c.d>"), [person("", "ann", "c.d")]);
}

#[test]
fn words_without_brackets_are_no_address() {
    assert_eq!(parse(b"Big Bug bb@bug.com"), [person("Big Bug", "bb", "bug.com")]);
    assert_eq!(parse(b"Mary Smith"), [person("Mary Smith", "", "")]);
    assert_eq!(parse(b"\"root\""), [person("root", "", "")]);
    assert_eq!(parse(b"\"bank@bank.example\""), [person("bank@bank.example", "", "")]);
    assert_eq!(parse(b"\"a@b\" \"c@d\""), [person("a@b c@d", "", "")]);
    assert_eq!(parse(b"\"a@b\" c@d"), [person("a@b", "c", "d")]);
    assert_eq!(parse(b"\"Smith, \\\"M\\\"\" jr c@d"), [person("Smith, \"M\" jr", "c", "d")]);
    assert_eq!(parse(b"Mary Smith, a@b"), [person("Mary Smith", "", ""), person("", "a", "b")]);
    assert_eq!(parse(b"a@b c@d"), [person("", "a", "b"), person("", "c", "d")]);
    assert_eq!(parse(b"a@b; c@d"), [person("", "a", "b"), person("", "c", "d")]);
    assert_eq!(parse(b"Ann <>"), [person("Ann", "", "")]);
    assert_eq!(parse(b"Ann <x y>"), [person("Ann", "", "")]);
    assert_eq!(parse(b"Ann <x y a@b>"), [person("Ann", "a", "b")]);
    assert_eq!(parse(b"<x y>"), [person("x y", "", "")]);
}

#[test]
fn name_with_unquoted_comma_is_one_name() {
    assert_eq!(parse(b"Mueller, Ada <ada@x>"), [person("Mueller, Ada", "ada", "x")]);
    assert_eq!(
        parse(b"a@b, Dr. Mueller, Ada <ada@x>, c@d"),
        [person("", "a", "b"), person("Dr. Mueller, Ada", "ada", "x"), person("", "c", "d")]
    );
    assert_eq!(parse(b"root, Ada <ada@x>"), [person("", "root", ""), person("Ada", "ada", "x")]);
    assert_eq!(parse(b"Ada, <ada@x>"), [person("", "Ada", ""), person("", "ada", "x")]);
}

#[test]
fn odd_forms_keep_their_address() {
    assert_eq!(parse(b"\"unclosed <ada@x>"), [person("unclosed", "ada", "x")]);
    assert_eq!(parse(b"Ada\" <ada@x>"), [person("Ada", "ada", "x")]);
    assert_eq!(parse(b"Ada (Team <ada@x>"), [person("Ada Team", "ada", "x")]);
    assert_eq!(parse(b"Ada (ada@x)"), [person("Ada", "ada", "x")]);
    assert_eq!(parse(b"Ada [ada@x]"), [person("Ada", "ada", "x")]);
    let names = "Ann Bee, ".repeat(5_000);
    assert_eq!(parse(names.as_bytes()).len(), ADDRESSES_MAX);
    assert_eq!(
        parse(b"Dr. Ada, PhD, LLC <ada@x>, Bob <b@x>"),
        [person("Dr. Ada, PhD, LLC", "ada", "x"), person("Bob", "b", "x")]
    );
    let Entry::Mailbox(found) = parse(b"\x1b$B<R\x1b(B <i@x>").remove(0) else { panic!("none") };
    assert_eq!(
        (found.local.as_slice(), found.name.as_deref()),
        (&b"i"[..], Some(&b"\x1b$B<R\x1b(B"[..]))
    );
}

#[test]
fn malformed_brackets_are_survived() {
    assert_eq!(parse(b"Ada <<ada@x>>"), [person("Ada", "ada", "x")]);
    assert_eq!(parse(b"Ada <ada@x"), [person("Ada", "ada", "x")]);
    assert_eq!(parse(b"A <a@x, B <b@x>"), [person("A", "a", "x"), person("B", "b", "x")]);
    assert_eq!(parse(b"<mailto:a@b>"), [person("", "a", "b")]);
    assert_eq!(parse(b"mailto:a@b"), [person("", "a", "b")]);
}

#[test]
fn address_groups_open_and_close() {
    assert_eq!(
        parse(b"undisclosed-recipients:;"),
        [Entry::GroupStart(b"undisclosed-recipients".to_vec()), Entry::GroupEnd]
    );
    assert_eq!(
        parse(b"G: a@b, c@d; e@f"),
        [
            Entry::GroupStart(b"G".to_vec()),
            person("", "a", "b"),
            person("", "c", "d"),
            Entry::GroupEnd,
            person("", "e", "f")
        ]
    );
    assert_eq!(
        parse(b"G: a@b"),
        [Entry::GroupStart(b"G".to_vec()), person("", "a", "b"), Entry::GroupEnd]
    );
}

#[test]
fn address_is_written_with_needed_quotes() {
    let written = |value: &[u8]| mailboxes(&parse(value)).next().map(Mailbox::address);
    assert_eq!(written(b"a.b+c@d").as_deref(), Some("a.b+c@d"));
    assert_eq!(written(b"\"a b\"@d").as_deref(), Some("\"a b\"@d"));
    assert_eq!(written(b"Ann Bee").as_deref(), Some(""));
}

proptest::proptest! {
    #[test]
    fn address_parser_survives_any_bytes(
        bytes in proptest::collection::vec(
            proptest::sample::select(b"ab@.,;:<>()[]\"\\ \t\r\n\xff".to_vec()),
            0..200,
        ),
    ) {
        parse(&bytes);
    }
}
