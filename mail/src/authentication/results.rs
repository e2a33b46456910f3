//! The `Authentication-Results` field (RFC 8601).

use freehold_core::domain_name;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::{
    ArcOutput, AuthenticationResults, DkimOutput, DmarcOutput, IprevOutput, SpfOutput,
};

use super::Sender;

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
    let field = results.to_header();
    if field.len() > FIELD_LEN_MAX { none(hostname) } else { field }
}

/// Whether a field's value bears the name of this server, so that it may be taken for one of ours
/// and is to be removed (RFC 8601 5). `value` is the beginning of the value; a name that can't be
/// read from it counts as ours.
pub(crate) fn is_own(value: &[u8], hostname: &str) -> bool {
    match server_name(value) {
        Some(name) => {
            let name = String::from_utf8_lossy(name);
            domain_name::is_same(&name, hostname)
        }
        None => true,
    }
}

/// The authserv-id: the first token behind white space and comments (RFC 8601 2.2).
fn server_name(value: &[u8]) -> Option<&[u8]> {
    let mut depth = 0u32;
    let mut bytes = value.iter().enumerate();
    let start = loop {
        let (at, byte) = bytes.next()?;
        match byte {
            b'\\' if depth > 0 => {
                bytes.next();
            }
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            _ if depth > 0 => {}
            b'"' => break at + 1,
            _ => break at,
        }
    };
    let name = value.get(start..)?;
    let end = name
        .iter()
        .position(|byte| matches!(byte, b';' | b' ' | b'\t' | b'\r' | b'\n' | b'(' | b'"'))?;
    name.get(..end)
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
        ] {
            assert!(is_own(value.as_bytes(), "mx.alice.example"), "{value}");
        }
        for value in [" mx.bob.example; spf=pass", " mx.alice.example.org; none", " alice; none"] {
            assert!(!is_own(value.as_bytes(), "mx.alice.example"), "{value}");
        }
        for value in ["", " (mx.bob.example;", " mx.bob.exam"] {
            assert!(is_own(value.as_bytes(), "mx.alice.example"), "{value:?}");
        }
    }
}
