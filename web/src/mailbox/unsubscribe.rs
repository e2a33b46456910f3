//! The ways that a message offers to leave its mailing list (RFC 2369 3.2, RFC 8058).
//!
//! One POST leaves the list if the message names an HTTPS address for it, says that one POST is
//! enough, and bears a valid DKIM signature that covers both fields (RFC 8058 4): else anybody who
//! passes a message on could put an address of their own into it. The signature was verified when
//! the message came; the result that this server added then names it.

use freehold_core::domain_name;
use freehold_mime::header;

use super::mailto::{self, Mailto};
use super::proof;

/// The most signatures of a message that are looked at.
const SIGNATURES_MAX: usize = 50;
/// The characters of a signature that a result names (RFC 6008 3).
const PREFIX_LEN: usize = 8;
const FIELDS: [&str; 2] = ["list-unsubscribe", "list-unsubscribe-post"];

/// How to leave a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A POST to this HTTPS address.
    OneClick(String),
    /// A message.
    Mail(Mailto),
    /// A page of the sender.
    Page(String),
}

/// The list of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct List {
    /// The URI that is asked. It names the list: one sender may have several.
    pub(super) target: String,
    pub(super) way: Way,
}

impl List {
    /// The list that a message with this header can leave; `None` if it offers no way.
    pub(super) fn of(fields: &[u8]) -> Option<Self> {
        let links = mailto::links(&header::unfold(header::first(fields, FIELDS[0])?));
        let web = |link: &&String| {
            let scheme = link.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
            matches!(scheme.as_deref(), Some("https" | "http"))
        };
        let is_https = |link: &&String| link.get(..6).is_some_and(|start| is_same(start, "https:"));
        let one_click = links.iter().find(is_https).filter(|_| is_one_click(fields));
        let mail = links.iter().find_map(|link| Some((link, Mailto::parse(link)?)));
        let (target, way) = match (one_click, mail) {
            (Some(link), _) => (link, Way::OneClick(link.clone())),
            (None, Some((link, mailto))) => (link, Way::Mail(mailto)),
            (None, None) => {
                let link = links.iter().find(web)?;
                (link, Way::Page(link.clone()))
            }
        };
        Some(Self { target: target.clone(), way })
    }
}

/// Whether a domain is another one or below it: the result names the user's, which may be below the
/// signer's (RFC 6376 3.5, i=).
fn is_below(domain: &str, above: &str) -> bool {
    let end = domain.len().saturating_sub(above.len());
    let is_label = end == 0 || domain.get(..end).is_some_and(|start| start.ends_with('.'));
    is_label && domain.get(end..).is_some_and(|end| domain_name::is_same(end, above))
}

fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Whether one POST is enough, by fields that a valid signature covers. A field that occurs twice
/// is covered once, and which of them is read is not said.
fn is_one_click(fields: &[u8]) -> bool {
    if FIELDS.iter().any(|name| header::all(fields, name).take(2).count() != 1) {
        return false;
    }
    let post = header::first(fields, FIELDS[1]).map(header::unfold).unwrap_or_default();
    let post = String::from_utf8_lossy(&post).to_ascii_lowercase();
    if post.split_ascii_whitespace().collect::<String>() != "list-unsubscribe=one-click" {
        return false;
    }
    let passed = proof::signatures(fields);
    header::all(fields, "dkim-signature").take(SIGNATURES_MAX).any(|value| {
        let signature = Signature::parse(value);
        FIELDS.iter().all(|name| signature.covers(name))
            && passed.iter().any(|passed| signature.is(passed))
    })
}

/// The tags of a DKIM signature that are needed (RFC 6376 3.5).
#[derive(Debug, Default)]
struct Signature {
    domain: String,
    selector: String,
    bytes: String,
    fields: Vec<String>,
}

impl Signature {
    fn parse(value: &[u8]) -> Self {
        let value = String::from_utf8_lossy(value);
        let mut signature = Self::default();
        for tag in value.split(';') {
            let Some((name, value)) = tag.split_once('=') else { continue };
            let value: String = value.split_whitespace().collect();
            match name.trim() {
                "d" => signature.domain = value,
                "s" => signature.selector = value,
                "b" => signature.bytes = value,
                "h" => {
                    signature.fields = value.split(':').map(str::to_ascii_lowercase).collect();
                }
                _ => {}
            }
        }
        signature
    }

    fn covers(&self, field: &str) -> bool {
        self.fields.iter().any(|covered| covered == field)
    }

    /// Whether a result that passed is that of this signature.
    fn is(&self, passed: &proof::PassedSignature) -> bool {
        self.bytes.get(..PREFIX_LEN) == Some(passed.prefix.as_str())
            && is_same(&self.selector, &passed.selector)
            && is_below(&passed.domain, &self.domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POST: &str = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
    const LINKS: &str = "List-Unsubscribe: <mailto:l@l.example>, <https://l.example/u?1>\r\n";
    const COVERED: &str = "from:List-Unsubscribe:\r\n\tlist-unsubscribe-post";

    fn message(result: &str, covered: &str, rest: &str) -> String {
        format!(
            "Return-Path: <b@l.example>\r\nAuthentication-Results: alice.example;\r\n\t{result}\r\n\
             Received: by alice.example\r\nDKIM-Signature: v=1; d=l.example; s=k1;\r\n\th={covered};\
             b=YWJj\r\n\tZGVmZ2hp\r\nFrom: l@l.example\r\nList-Id: News <news.l.example>\r\n{rest}\r\n"
        )
    }

    fn way(message: &str) -> Way {
        let list = List::of(message.as_bytes()).unwrap();
        assert!(message.contains(&format!("<{}>", list.target)), "{}", list.target);
        list.way
    }

    const PASS: &str = "dkim=pass header.d=l.example header.s=k1 header.b=YWJjZGVm";

    #[test]
    fn one_click_needs_a_signature_over_both_fields() {
        let rest = format!("{LINKS}{POST}");
        let good = message(PASS, COVERED, &rest);
        assert_eq!(way(&good), Way::OneClick("https://l.example/u?1".into()));
        let by_author = "dkim=pass header.i=@l.example header.s=k1 header.b=YWJjZGVm";
        assert!(matches!(way(&message(by_author, COVERED, &rest)), Way::OneClick(_)));
        for bad in [
            message("none", COVERED, &rest),
            message(&PASS.replace("pass", "fail"), COVERED, &rest),
            message(&PASS.replace("YWJj", "xxxx"), COVERED, &rest),
            message(&PASS.replace("l.example", "m.example"), COVERED, &rest),
            message(&PASS.replace("k1", "k2"), COVERED, &rest),
            message(PASS, "from:list-unsubscribe", &rest),
            message(PASS, "from:subject", &rest),
            message(PASS, COVERED, LINKS),
            message(PASS, COVERED, &rest.replace("One-Click", "Two-Clicks")),
            // One of two fields is covered.
            message(PASS, COVERED, &format!("{LINKS}{rest}")),
            // Results that came with the message.
            good.replacen("Return-Path", "X-Path", 1),
        ] {
            let mail = Mailto { to: "l@l.example".into(), ..Mailto::default() };
            assert_eq!(way(&bad), Way::Mail(mail), "{bad}");
        }
    }

    #[test]
    fn page_is_the_last_way() {
        let only = "List-Unsubscribe: <ftp://l.example>, <http://l.example/u>\r\n";
        assert_eq!(way(&message(PASS, COVERED, only)), Way::Page("http://l.example/u".into()));
        for none in ["", "List-Unsubscribe: <javascript:alert(1)>\r\n", "List-Unsubscribe: x\r\n"] {
            assert_eq!(List::of(message(PASS, COVERED, none).as_bytes()), None, "{none}");
        }
    }
}
