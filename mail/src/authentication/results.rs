//! The `Authentication-Results` field (RFC 8601).

use freehold_core::domain_name;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::{
    ArcOutput, AuthenticationResults, DkimOutput, DmarcOutput, IprevOutput, SpfOutput,
};

use super::{Sender, added};

/// The longest field, in bytes. A longer one repeats long names that a stranger chose.
const FIELD_LEN_MAX: usize = 16 * 1024;

/// The results of one message.
pub(super) struct Checks<'a> {
    pub(super) sender: &'a Sender,
    pub(super) spf: SpfOutput,
    pub(super) signatures: Vec<DkimOutput<'a>>,
    pub(super) arc: Option<ArcOutput<'a>>,
    /// One for each domain of the authors.
    pub(super) dmarc: Vec<DmarcOutput>,
    pub(super) iprev: Option<IprevOutput>,
}

/// The field that says that nothing was checked (RFC 8601 2.2, "none").
pub(super) fn none(hostname: &str) -> String {
    format!("Authentication-Results: {hostname}; none\r\n")
}

/// The field for `checks`.
pub(super) fn field(hostname: &str, checks: &Checks<'_>) -> String {
    let Sender { address, hello, mail_from } = checks.sender;
    let address = address.to_canonical();
    let author = checks.dmarc.first().map_or("", DmarcOutput::domain);
    let mut results =
        AuthenticationResults::new(hostname).with_dkim_results(&checks.signatures, author);
    for dmarc in &checks.dmarc {
        results = results.with_dmarc_result(dmarc);
    }
    results = match mail_from.as_str() {
        "" => results.with_spf_ehlo_result(&checks.spf, address, hello),
        from => results.with_spf_mailfrom_result(&checks.spf, address, from, hello),
    };
    if let Some(arc) = &checks.arc {
        results = results.with_arc_result(arc, address);
    }
    if let Some(iprev) = &checks.iprev {
        results = results.with_iprev_result(iprev, address);
    }
    let field = added::named(&results.to_header());
    if field.len() > FIELD_LEN_MAX { none(hostname) } else { field }
}

/// Whether a field's value bears the name of this server, so that it may be taken for one of ours
/// and is to be removed (RFC 8601 5). `value` is the beginning of the value; a name that can't be
/// read from it counts as ours.
pub(crate) fn is_own(value: &[u8], hostname: &str) -> bool {
    match server_name(value) {
        Some(name) => {
            let name = String::from_utf8_lossy(&name);
            domain_name::is_same(&name, hostname)
        }
        None => true,
    }
}

/// The authserv-id (RFC 8601 2.2): a token or a quoted string behind white space and comments;
/// `None` if the value ends within it.
///
/// Programs differ about malformed ones, and the one that finds this server's name must find no
/// such field. So quotes and quoted-pairs are resolved wherever they stand, and white space and
/// comments beside a dot are passed over.
fn server_name(value: &[u8]) -> Option<Vec<u8>> {
    let mut rest = after_comments(value)?;
    let (mut name, mut is_quoted) = (Vec::new(), false);
    loop {
        let (byte, after) = rest.split_first()?;
        match byte {
            b'\\' => {
                let (escaped, after) = after.split_first()?;
                name.push(*escaped);
                rest = after;
                continue;
            }
            b'"' => is_quoted = !is_quoted,
            // A name has no white space, so that this is folding (RFC 5322 2.2.3).
            b' ' | b'\t' | b'\r' | b'\n' if is_quoted => {}
            _ if is_quoted => name.push(*byte),
            b';' => return Some(name),
            b' ' | b'\t' | b'\r' | b'\n' | b'(' => {
                rest = after_comments(rest)?;
                let is_joined = name.ends_with(b".") || rest.starts_with(b".");
                if !is_joined || rest.is_empty() {
                    return Some(name);
                }
                continue;
            }
            _ => name.push(*byte),
        }
        rest = after;
    }
}

/// The value behind white space and comments, which may be nested (RFC 5322 3.2.2); `None` if it
/// ends within one.
fn after_comments(value: &[u8]) -> Option<&[u8]> {
    let (mut rest, mut depth) = (value, 0u32);
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'\\' if depth > 0 => {
                rest = after.get(1..).unwrap_or_default();
                continue;
            }
            b'(' => depth = depth.saturating_add(1),
            b')' if depth > 0 => depth -= 1,
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if depth > 0 => {}
            _ => return Some(rest),
        }
        rest = after;
    }
    (depth == 0).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_name_is_found_in_every_spelling() {
        for value in [
            " mx.alice.example; spf=pass",
            "MX.Alice.Example 1; none",
            "\r\n\t(a (nested) \\) comment) mx.alice.example(c);",
            " \"mx.alice.example\"; none",
            " mx.alice.example\r\n",
            " \"mx.alice\\.example\"; dmarc=pass",
            " \"\\m\\x.alice.example\" 1; dmarc=pass",
            " \"mx.\r\n alice.example\" ; x",
            " \"mx.alice.exam\"ple; dmarc=pass",
            " mx\\.alice.example; dmarc=pass",
            " (\")\"MX.alice.example\"(\"); dmarc=pass",
            " mx.alice.example.; dmarc=pass",
            " mx . alice(;).example ; dmarc=pass",
            " mx.alice.example (",
        ] {
            assert!(is_own(value.as_bytes(), "mx.alice.example"), "{value}");
        }
        let idn = "xn--mller-kva.example";
        for value in
            [" m\u{fc}ller.example; x", " \"M\u{dc}LLER.example.\"; x", " XN--mller-kva.Example;"]
        {
            assert!(is_own(value.as_bytes(), idn), "{value}");
        }
        for value in [
            " mx.bob.example; spf=pass",
            " mx.alice.example.org; none",
            " alice; none",
            " mx.bob.example mx.alice.example; x",
            " \"mx.alice.example;\"; x",
            " \"a\\\"mx.alice.example\"; x",
            " spf=pass (mx.alice.example) smtp.mailfrom=mx.alice.example;",
        ] {
            assert!(!is_own(value.as_bytes(), "mx.alice.example"), "{value}");
        }
        for value in ["", " (mx.bob.example;", " mx.bob.exam", " \"mx.bob.example; x", " mx.bob\\"]
        {
            assert!(is_own(value.as_bytes(), "mx.alice.example"), "{value:?}");
        }
    }
}
