//! Whether the authors' own domains have signed a message (DKIM, RFC 6376).

use freehold_core::domain_name;
use mail_auth::{DkimOutput, DkimResult};

use super::added::Repeated;
use super::{DOMAINS_MAX, Digested, dkim, domains, split};
use crate::dns::Dns;

/// The answer to [`by_authors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// Each author's domain has signed it, the From field included (RFC 6376 5.4).
    Yes,
    /// A signature is missing or bad.
    No,
    /// DNS does not answer for the key of a missing one.
    Unknown,
}

/// Whether the domain of each of these addresses has signed the message itself, and not one below
/// or above it.
pub(crate) async fn by_authors(dns: &Dns, digested: &Digested, authors: &[String]) -> Signed {
    let (domains, Some(mut message)) = (domains(authors), digested.message()) else {
        return Signed::No;
    };
    if domains.is_empty() || domains.len() > DOMAINS_MAX {
        return Signed::No;
    }
    let parts = split(&mut message, &domains);
    let repeated = Repeated::of(digested.header());
    let checks = parts.iter().map(|part| dkim(dns, part, &repeated));
    let outputs = futures::future::join_all(checks).await;
    let outputs: Vec<DkimOutput<'_>> = outputs.into_iter().flatten().collect();
    let mut all = Signed::Yes;
    for domain in &domains {
        match of_domain(&outputs, domain) {
            Signed::Yes => {}
            Signed::No => return Signed::No,
            Signed::Unknown => all = Signed::Unknown,
        }
    }
    all
}

fn of_domain(outputs: &[DkimOutput<'_>], domain: &str) -> Signed {
    let is_own = |output: &&DkimOutput<'_>| {
        output.signature().is_some_and(|signature| {
            let signs_author = signature.h.iter().any(|name| name.eq_ignore_ascii_case("from"));
            domain_name::is_same(&signature.d, domain) && signs_author
        })
    };
    let mut answer = Signed::No;
    for output in outputs.iter().filter(is_own) {
        match output.result() {
            DkimResult::Pass => return Signed::Yes,
            DkimResult::TempError(_) => answer = Signed::Unknown,
            _ => {}
        }
    }
    answer
}
