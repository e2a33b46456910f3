//! Addresses in plain text as links. A link whose host could be taken for another one, or follows
//! a user's name, is followed by its host in ASCII.

use freehold_mime::text::is_bidi_control;

use super::host_names::{has_user, hidden_host, host_of};
use crate::addresses::without_punctuation;
use crate::response::percent_encoded;

/// A longer word is no address, in bytes.
const ADDRESS_LEN_MAX: usize = 2_000;

/// The fields of a message whose values are identifiers in the form of addresses (RFC 5322 3.6.4),
/// as a report about a message quotes them.
const ID_FIELDS: [&str; 4] = ["message-id:", "in-reply-to:", "references:", "content-id:"];

/// A piece of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) text: String,
    /// The address of a link; empty for text.
    pub(super) href: String,
    /// True for the host of the link before it.
    pub(super) is_host: bool,
}

/// Splits a text at its web and mail addresses. All pieces together are the text, with the hosts
/// that links hide.
pub(super) fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut push = |text: &str, href: String, is_host: bool| match runs.last_mut() {
        Some(last) if href.is_empty() && last.href.is_empty() && last.is_host == is_host => {
            last.text.push_str(text)
        }
        _ if text.is_empty() => {}
        _ => runs.push(Run { text: text.to_owned(), href, is_host }),
    };
    let mut is_id = false;
    for word in text.split_inclusive(char::is_whitespace) {
        let plain = word.trim_end();
        // A folded field has its value on the next line, and may have several.
        let is_another = is_id && plain.starts_with('<') && plain.ends_with('>');
        if !plain.is_empty() && !is_another {
            is_id = ID_FIELDS.iter().any(|field| plain.eq_ignore_ascii_case(field));
        }
        let Some((start, end, href)) = address(word).filter(|_| !is_id) else {
            push(word, String::new(), false);
            continue;
        };
        push(word.get(..start).unwrap_or_default(), String::new(), false);
        let text = word.get(start..end).unwrap_or_default();
        let is_ascii = text.is_ascii();
        let mail = format!("mailto:{text}");
        let is_mail = href.starts_with('/');
        let host = match (is_mail, is_ascii) {
            (false, _) if has_user(&href) => host_of(&href),
            (_, true) => None,
            (true, false) => hidden_host(text, &mail),
            (false, false) => hidden_host(text, &href),
        };
        push(text, href, false);
        if let Some(host) = host {
            push(" ", String::new(), false);
            push(&format!("[{host}]"), String::new(), true);
        }
        push(word.get(end..).unwrap_or_default(), String::new(), false);
    }
    runs
}

/// The range of an address in a word, and the address of its link.
fn address(word: &str) -> Option<(usize, usize, String)> {
    if word.len() > ADDRESS_LEN_MAX || word.contains(is_bidi_control) {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let web = ["https://", "http://", "www."].iter().filter_map(|start| lower.find(start)).min();
    if let Some(start) = web {
        let rest = word.get(start..)?.trim_end();
        let end = rest.find(['<', '>', '"']).unwrap_or(rest.len());
        let found = without_punctuation(rest.get(..end)?);
        let host = found.split_once("://").map_or(found, |(_, host)| host);
        if !host.starts_with(|c: char| c.is_alphanumeric() || c == '[') || found.len() < 8 {
            return None;
        }
        let scheme = if found.contains("://") { "" } else { "https://" };
        // Without a scheme it is the address of a person.
        if !(scheme == "https://" && has_user(found)) {
            return Some((start, start.checked_add(found.len())?, format!("{scheme}{found}")));
        }
    }
    let at = word.find('@')?;
    let is_part = |c: char| c.is_alphanumeric() || "._%+-".contains(c);
    let start = word.get(..at)?.char_indices().rev().take_while(|(_, c)| is_part(*c)).last()?.0;
    let rest = word.get(at.checked_add(1)?..)?;
    let len = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let host = without_punctuation(rest.get(..len)?);
    let end = at.checked_add(1)?.checked_add(host.len())?;
    let found = word.get(start..end)?;
    let is_host = host.contains('.') && host.starts_with(char::is_alphanumeric);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte);
    let to = percent_encoded(found.as_bytes(), is_plain);
    is_host.then(|| (start, end, format!("/home/mail/write?to={to}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(text: &str) -> Vec<(String, String)> {
        let runs = runs(text);
        assert_eq!(runs.iter().map(|run| run.text.as_str()).collect::<String>(), text);
        let links = runs.into_iter().filter(|run| !run.href.is_empty());
        links.map(|run| (run.text, run.href)).collect()
    }

    #[test]
    fn addresses_in_text_are_links() {
        for (text, link, href) in [
            ("see https://a.example/b?c=d.", "https://a.example/b?c=d", "https://a.example/b?c=d"),
            ("(http://a.example/b_(c))", "http://a.example/b_(c)", "http://a.example/b_(c)"),
            ("<https://a.example>,", "https://a.example", "https://a.example"),
            ("go to www.a.example!", "www.a.example", "https://www.a.example"),
            ("HTTPS://A.EXAMPLE", "HTTPS://A.EXAMPLE", "HTTPS://A.EXAMPLE"),
            ("ask a+b@c.example.", "a+b@c.example", "/home/mail/write?to=a%2Bb@c.example"),
            (
                "www.bank.example@evil.example",
                "www.bank.example@evil.example",
                "/home/mail/write?to=www.bank.example@evil.example",
            ),
        ] {
            assert_eq!(links(text), [(link.to_owned(), href.to_owned())], "{text}");
        }
    }

    #[test]
    fn words_that_are_no_address_stay_text() {
        let bidi = "https://a.example/\u{202e}b";
        for text in ["", "a@b", "@a.example", "https://", "www.", "javascript:alert(1)", bidi] {
            assert_eq!(links(text), [], "{text}");
        }
        assert_eq!(links("https://a.example https://b.example\nc").len(), 2);
    }

    #[test]
    fn message_id_is_no_address() {
        let report = "Message-ID: <a@b.example>\nReferences:\n <c@d.example> <e@f.example>\n";
        assert_eq!(links(report), []);
        assert_eq!(links(&format!("{report}From: <g@h.example>")).len(), 1);
        assert_eq!(links("Message-ID: unknown, ask <a@b.example>").len(), 1);
    }

    #[test]
    fn deceptive_host_is_shown_behind_its_link() {
        for (text, shown) in [
            (
                "https://p\u{430}ypal.example/a",
                "https://p\u{430}ypal.example/a [xn--pypal-4ve.example]",
            ),
            ("a@p\u{430}ypal.example", "a@p\u{430}ypal.example [xn--pypal-4ve.example]"),
            ("https://b\u{fc}cher.example.", "https://b\u{fc}cher.example."),
            (
                "https://www.paypal.com:login@evil.example/",
                "https://www.paypal.com:login@evil.example/ [evil.example]",
            ),
            ("https://a.example/@b.example", "https://a.example/@b.example"),
        ] {
            assert_eq!(runs(text).iter().map(|run| run.text.as_str()).collect::<String>(), shown);
        }
    }
}
