//! The proof of a message's sender: SPF (RFC 7208), DKIM (RFC 6376), ARC (RFC 8617), DMARC (RFC
//! 9989) and the reverse name of the client (RFC 8601 2.7.3).
//!
//! The header and the hashes of the body are gathered while the message arrives, so no message is
//! whole in memory. Each check has a time limit of its own: a slow domain of the sender delays
//! nothing but its own result.

mod added;
mod block_lists;
mod digest;
mod dmarc;
mod evidence;
#[cfg(test)]
mod hostile;
mod one_record;
mod results;
mod signed;
mod undecided;

use std::net::IpAddr;
use std::time::Duration;

use freehold_core::domain_name;
use freehold_core::mailbox::{Disowned, Evidence};
use freehold_mime::people;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    ArcOutput, AuthenticatedMessage, DkimOutput, Error, IprevOutput, SpfOutput, SpfResult,
};
use tokio::time::timeout;

use crate::dns::{Dns, LazyDns};
use added::Repeated;

pub(crate) use digest::{Digest, Digested};
pub(crate) use results::is_own;
pub(crate) use signed::{Signed, by_authors};
pub(crate) use undecided::Undecided;

/// How long one check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);
/// The most DKIM signatures that are checked; those of the author's domain come first.
const SIGNATURES_MAX: usize = 10;
/// The most domains of authors that are checked.
const DOMAINS_MAX: usize = 4;
/// The most hops of an ARC chain that are checked.
const ARC_HOPS_MAX: usize = 20;

/// The connection and the envelope that brought a message.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// The client's address.
    pub(crate) address: IpAddr,
    /// The name in HELO or EHLO.
    pub(crate) hello: String,
    /// The address in MAIL FROM; empty for the null sender.
    pub(crate) mail_from: String,
}

impl Sender {
    /// The domain that SPF speaks about: of MAIL FROM, and of HELO for the null sender (RFC 7208
    /// 2.4).
    fn domain(&self) -> &str {
        self.mail_from.rsplit_once('@').map_or(&self.hello, |(_, domain)| domain)
    }
}

/// The result of all checks of one message.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// The `Authentication-Results` field (RFC 8601) with its CR LF.
    pub(crate) field: String,
    /// The same for the judgement of the message.
    pub(crate) evidence: Evidence,
    /// The domain that would disown the message if the answers that are missing were no proof.
    pub(crate) undecided: Option<Disowned>,
}

/// The checks of one server.
#[derive(Clone)]
pub(crate) struct Checker {
    /// The resolvers.
    pub(crate) dns: LazyDns,
    /// The name of this server in results.
    pub(crate) hostname: String,
    /// The block lists (DNSBL, RFC 5782) that are asked.
    pub(crate) block_lists: Vec<String>,
}

/// Checks a message of `sender`.
pub(crate) async fn check(checker: &Checker, sender: &Sender, digested: &Digested) -> Verdict {
    let Checker { dns, hostname, block_lists } = checker;
    let authors = authors(digested.header());
    let (Some(dns), Some(mut message)) = (dns.get(), digested.message()) else {
        let evidence = evidence::unchecked(sender.address.to_canonical(), authors);
        return Verdict { field: results::none(hostname), evidence, undecided: None };
    };
    let domains = domains(&authors);
    let parts = split(&mut message, domains.get(..DOMAINS_MAX).unwrap_or(&domains));
    let repeated = Repeated::of(digested.header());
    let (spf, signatures, arc, iprev, listed) = futures::join!(
        spf(dns, hostname, sender),
        futures::future::join_all(parts.iter().map(|part| dkim(dns, part, &repeated))),
        arc(dns, &message, &repeated),
        iprev(dns, sender.address),
        block_lists::listed(dns, block_lists, sender.address),
    );
    let signatures: Vec<DkimOutput<'_>> = signatures.into_iter().flatten().collect();
    let of_domains = domains.iter().take(DOMAINS_MAX);
    let of_domains = of_domains.map(|of| dmarc::check(dns, of, &signatures, sender, &spf));
    let dmarc = futures::future::join_all(of_domains).await;
    let added_field = repeated.found_by(&signatures);
    let checks = results::Checks { sender, spf, signatures, arc, dmarc, iprev };
    let mut evidence = evidence::of(&checks, authors, &domains, listed);
    evidence.added_field = added_field.filter(|_| evidence.proven.is_none()).map(str::to_owned);
    let undecided = evidence::undecided(&checks).filter(|_| evidence.disowned.is_none());
    Verdict { field: results::field(hostname, &checks), evidence, undecided }
}

/// The addresses in From, as the owner sees them: an address that another reader finds in a
/// malformed header must not be the one that is proven.
fn authors(header: &[u8]) -> Vec<String> {
    let people = people::first(header, "from", None);
    people.into_iter().map(|person| person.address.to_lowercase()).collect()
}

/// The domains of the authors as DNS has them, each once. [`DOMAINS_MAX`] are checked; one more is
/// listed if there are more.
fn domains(authors: &[String]) -> Vec<String> {
    let mut domains: Vec<String> = Vec::new();
    for (_, domain) in authors.iter().filter_map(|address| address.rsplit_once('@')) {
        let domain = domain_name::ascii(domain).map_or_else(|| domain.to_owned(), Into::into);
        if domains.len() <= DOMAINS_MAX && !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains
}

/// Takes the signatures out of `message`: those of each of the authors' domains, then the others,
/// together at most [`SIGNATURES_MAX`]. Each part is checked in a time of its own, so slow
/// signatures of a stranger do not use up the time of those that count.
fn split<'a>(
    message: &mut AuthenticatedMessage<'a>,
    domains: &[String],
) -> Vec<AuthenticatedMessage<'a>> {
    let mut left = std::mem::take(&mut message.dkim_headers);
    let mut parts = Vec::new();
    for domain in domains {
        let (own, others) = std::mem::take(&mut left)
            .into_iter()
            .partition::<Vec<_>, _>(|header| is_related(&header.header.d, domain));
        parts.push(own);
        left = others;
    }
    parts.push(left);
    let mut count = SIGNATURES_MAX;
    let mut errors = std::mem::take(&mut message.errors);
    // Malformed signatures are reported once, and not all of them.
    errors.truncate(1);
    let mut with_signatures = |mut signatures: Vec<_>| {
        signatures.truncate(count);
        count = count.saturating_sub(signatures.len());
        let mut part = message.clone();
        part.errors = std::mem::take(&mut errors);
        part.dkim_headers = signatures;
        part
    };
    parts.into_iter().map(&mut with_signatures).collect()
}

/// Whether the domains are equal, or one is a subdomain of the other.
fn is_related(a: &str, b: &str) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.len() > outer.len()
            && inner
                .get(inner.len() - outer.len()..)
                .is_some_and(|end| end.eq_ignore_ascii_case(outer))
            && inner.as_bytes().get(inner.len() - outer.len() - 1) == Some(&b'.')
    };
    a.eq_ignore_ascii_case(b) || within(a, b) || within(b, a)
}

async fn spf(dns: &Dns, hostname: &str, sender: &Sender) -> SpfOutput {
    let Sender { address, hello, mail_from } = sender;
    let address = address.to_canonical();
    let parameters = match mail_from.as_str() {
        "" => SpfParameters::verify_ehlo(address, hello, hostname),
        _ => SpfParameters::verify_mail_from(address, hello, hostname, mail_from),
    };
    let checked = timeout(CHECK_TIMEOUT, one_record::spf(dns, parameters, sender.domain())).await;
    checked.unwrap_or_else(|_| {
        SpfOutput::new(sender.domain().to_owned()).with_result(SpfResult::TempError)
    })
}

async fn dkim<'a>(
    dns: &Dns,
    message: &'a AuthenticatedMessage<'a>,
    repeated: &Repeated,
) -> Vec<DkimOutput<'a>> {
    let checked = timeout(CHECK_TIMEOUT, dns.authenticator().verify_dkim(message)).await;
    let outputs = checked.unwrap_or_else(|_| {
        let unanswered = |header: &'a mail_auth::common::headers::Header<'a, _>| {
            DkimOutput::temp_err(timed_out()).with_signature(&header.header)
        };
        message.dkim_headers.iter().map(unanswered).collect()
    });
    outputs.into_iter().map(|output| repeated.judged(message, output)).collect()
}

async fn arc<'a>(
    dns: &Dns,
    message: &'a AuthenticatedMessage<'a>,
    repeated: &Repeated,
) -> Option<ArcOutput<'a>> {
    if message.ams_headers.is_empty() || message.ams_headers.len() > ARC_HOPS_MAX {
        return None;
    }
    let checked = timeout(CHECK_TIMEOUT, dns.authenticator().verify_arc(message)).await.ok()?;
    // As with a signature, the last server has not seen an added field.
    let last = checked.sets().last();
    let is_covered = last.is_none_or(|set| repeated.beyond(&set.signature.header.h).is_none());
    is_covered.then_some(checked)
}

async fn iprev(dns: &Dns, address: IpAddr) -> Option<IprevOutput> {
    let address = address.to_canonical();
    timeout(CHECK_TIMEOUT, dns.authenticator().verify_iprev(address)).await.ok()
}

fn timed_out() -> Error {
    Error::Dns(mail_auth::DnsError::Resolver("timed out".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn related_domains_share_their_end_at_a_label() {
        assert!(is_related("Mail.example.org", "example.ORG"));
        assert!(is_related("example.org", "news.example.org"));
        assert!(is_related("example.org", "example.org"));
        assert!(!is_related("badexample.org", "example.org"));
        assert!(!is_related("example.net", "example.org"));
        assert!(!is_related("", "example.org"));
    }
}
