//! The proof of a message's author, by the results that this server added when the message came
//! (RFC 8601).
//!
//! They are believed only at their place: behind Return-Path and before the first Received. The
//! fields that a sender wrote come after it.

use freehold_core::domain_name;
use freehold_mime::header;

/// The proof of a message's author.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Proof {
    /// The sender was not checked: the message was written here, came from this machine, or was
    /// imported.
    #[default]
    Unchecked,
    /// The author's domain proved to have sent it.
    Proven(String),
    /// Nothing proves who sent it.
    Unproven,
    /// A domain that it names as its author's asks that such messages are refused.
    Disowned(String),
}

impl Proof {
    /// Its name for scripts and tests.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Proven(_) => "proven",
            Self::Unproven => "unproven",
            Self::Disowned(_) => "disowned",
        }
    }

    /// The proof that the author in `domain` sent the message with this header.
    pub(super) fn of(header: &[u8], domain: &str) -> Self {
        let Some(value) = results(header) else { return Self::Unchecked };
        let results: Vec<Checked> =
            statements(&value).iter().skip(1).map(|one| Checked::parse(one)).collect();
        let author = |checked: &&Checked| domain_name::is_same(&checked.domain, domain);
        if let Some(disowned) = results.iter().find(|checked| checked.is_disowned()) {
            return Self::Disowned(disowned.domain.clone());
        }
        let is_proven = results.iter().filter(author).any(|checked| checked.result == "pass");
        match results.iter().any(|checked| !checked.method.is_empty()) {
            true if is_proven => Self::Proven(domain.to_ascii_lowercase()),
            true => Self::Unproven,
            // Nothing could be checked.
            false => Self::Unchecked,
        }
    }
}

/// A signature that was valid when the message came (DKIM), as the result names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PassedSignature {
    /// The domain that signed, or one below it.
    pub(super) domain: String,
    pub(super) selector: String,
    /// The beginning of the signature (RFC 6008).
    pub(super) prefix: String,
}

/// The valid signatures of the message with this header.
pub(super) fn signatures(header: &[u8]) -> Vec<PassedSignature> {
    let Some(value) = results(header) else { return Vec::new() };
    let results = statements(&value).into_iter().skip(1).map(|one| Checked::parse(&one));
    let passed = results.filter(|checked| checked.method == "dkim" && checked.result == "pass");
    let signature = |checked: Checked| PassedSignature {
        domain: checked.domain,
        selector: checked.selector,
        prefix: checked.prefix,
    };
    passed.map(signature).filter(|signature| !signature.prefix.is_empty()).collect()
}

/// The value of this server's Authentication-Results, unfolded.
fn results(header: &[u8]) -> Option<String> {
    let mut fields = header::fields(header);
    let mut next = |name: &str| fields.next().filter(|field| field.is(name));
    next("return-path")?;
    let value = next("authentication-results")?.value;
    next("received")?;
    Some(String::from_utf8_lossy(&header::unfold(value)).into_owned())
}

/// The parts between semicolons, without comments and quotes.
fn statements(value: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    let (mut depth, mut is_quoted) = (0u32, false);
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' if is_quoted || depth > 0 => match chars.next() {
                Some(escaped) if depth == 0 => escaped,
                _ => continue,
            },
            '"' if depth == 0 => {
                is_quoted = !is_quoted;
                continue;
            }
            '(' if !is_quoted => {
                depth = depth.saturating_add(1);
                continue;
            }
            ')' if !is_quoted && depth > 0 => {
                depth -= 1;
                continue;
            }
            _ if depth > 0 => continue,
            ';' if !is_quoted => {
                statements.push(String::new());
                continue;
            }
            _ => c,
        };
        if let Some(statement) = statements.last_mut() {
            statement.push(c);
        }
    }
    statements
}

/// One result, such as `dmarc=pass header.from=bob.example`.
#[derive(Debug, Default)]
struct Checked {
    method: String,
    result: String,
    /// The domain that it speaks of.
    domain: String,
    /// The domain's policy (DMARC).
    policy: String,
    /// The selector and the beginning of the signature (DKIM).
    selector: String,
    prefix: String,
}

impl Checked {
    fn parse(statement: &str) -> Self {
        let mut checked = Self::default();
        for token in statement.split_ascii_whitespace() {
            let Some((name, value)) = token.split_once('=') else { continue };
            match name {
                _ if checked.method.is_empty() => {
                    (checked.method, checked.result) = (name.to_owned(), value.to_owned());
                }
                "header.from" | "header.d" | "header.i" | "smtp.mailfrom" => {
                    checked.domain =
                        value.rsplit_once('@').map_or(value, |(_, domain)| domain).to_owned();
                }
                "policy.dmarc" => checked.policy = value.to_owned(),
                "header.s" => checked.selector = value.to_owned(),
                "header.b" => checked.prefix = value.to_owned(),
                _ => {}
            }
        }
        checked
    }

    fn is_disowned(&self) -> bool {
        self.method == "dmarc"
            && matches!(self.result.as_str(), "fail" | "permerror")
            && matches!(self.policy.as_str(), "reject" | "quarantine")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these results.
    fn header(results: &str) -> Vec<u8> {
        format!(
            "Return-Path: <bob@bob.example>\r\nAuthentication-Results: alice.example;\r\n\t\
             {results}\r\nReceived: by alice.example\r\nFrom: bob@bob.example\r\n\r\n"
        )
        .into_bytes()
    }

    fn proof(results: &str) -> Proof {
        Proof::of(&header(results), "Bob.example.")
    }

    #[test]
    fn author_is_proven_by_a_pass_of_its_domain() {
        let proven = Proof::Proven("bob.example.".into());
        for results in [
            "dkim=pass header.d=bob.example header.s=k;\r\n\tdmarc=pass header.from=bob.example",
            "dmarc=none header.from=bob.example; dkim=pass header.i=\"x@bob.example\"",
            "dmarc=none header.from=bob.example; spf=pass (a; (b) c) smtp.mailfrom=bob@BOB.example",
        ] {
            assert_eq!(proof(results), proven, "{results}");
        }
        for results in [
            "dmarc=none header.from=bob.example; dkim=pass header.d=mallory.example",
            "dmarc=fail header.from=bob.example policy.dmarc=none; spf=pass smtp.mailfrom=m@m.ex",
            "dmarc=none header.from=bob.example; spf=fail (spf=pass) smtp.mailfrom=b@bob.example",
            "dmarc=none header.from=bob.example; x=\"; dmarc=pass header.from=bob.example\"",
            "dmarc=temperror (dns) header.from=bob.example policy.dmarc=reject",
        ] {
            assert_eq!(proof(results), Proof::Unproven, "{results}");
        }
        assert_eq!(proof("none"), Proof::Unchecked);
        assert_eq!(Proof::of(&header("spf=pass smtp.mailfrom=b@bob.example"), ""), Proof::Unproven);
    }

    #[test]
    fn message_is_disowned_by_any_author_domain() {
        let results = "dmarc=pass header.from=bob.example; dmarc=fail (not aligned) \
                       header.from=bank.example policy.dmarc=quarantine";
        assert_eq!(proof(results), Proof::Disowned("bank.example".into()));
    }

    #[test]
    fn results_of_the_sender_are_not_believed() {
        let forged =
            "Authentication-Results: alice.example; dmarc=pass header.from=bob.example\r\n";
        let own = "Return-Path: <>\r\nReceived: by alice.example\r\n";
        for header in [format!("{own}{forged}\r\n"), format!("{forged}{own}\r\n"), String::new()] {
            assert_eq!(Proof::of(header.as_bytes(), "bob.example"), Proof::Unchecked, "{header}");
        }
    }
}
