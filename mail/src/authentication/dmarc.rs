//! DMARC (RFC 9989) for one domain of the authors. A message of several is forged if one domain
//! disowns it: programs show any of them.

use freehold_core::domain_name;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::{AuthenticatedMessage, DkimOutput, DmarcOutput, DmarcResult, SpfOutput};
use tokio::time::timeout;

use super::{CHECK_TIMEOUT, Sender, is_related, one_record, timed_out};
use crate::dns::Dns;

/// The result for `domain`, by the signatures and the SPF result that can be of this domain: the
/// time that a stranger's DNS takes is not this one's.
///
/// If DNS does not answer for one of them and none proves the message, the result is a temporary
/// error that has the domain's policy.
pub(super) async fn check(
    dns: &Dns,
    domain: &str,
    signatures: &[DkimOutput<'_>],
    sender: &Sender,
    spf: &SpfOutput,
) -> DmarcOutput {
    let is_own = |output: &&DkimOutput<'_>| {
        output.signature().is_none_or(|signature| may_align(&signature.d, domain))
    };
    let own: Vec<DkimOutput<'_>> = signatures.iter().filter(is_own).cloned().collect();
    let none = SpfOutput::new(domain.to_owned());
    let spf = if may_align(sender.domain(), domain) { spf } else { &none };
    if let Some(output) = verify(dns, domain, &own, sender, spf).await {
        return output;
    }
    // A name below the domain may never answer, and anyone can have named it.
    let policy = verify(dns, domain, &[], sender, &none).await;
    policy
        .unwrap_or_else(|| DmarcOutput::new(domain.to_owned()))
        .with_dkim_result(DmarcResult::TempError(timed_out()))
}

/// `None` if DNS does not answer in time.
async fn verify(
    dns: &Dns,
    domain: &str,
    signatures: &[DkimOutput<'_>],
    sender: &Sender,
    spf: &SpfOutput,
) -> Option<DmarcOutput> {
    // The check reads the author's domain from it, and nothing else.
    let author =
        AuthenticatedMessage { from: vec![format!("author@{domain}")], ..Default::default() };
    let parameters = || DmarcParameters::new(&author, signatures, sender.domain(), spf);
    timeout(CHECK_TIMEOUT, one_record::dmarc(dns, parameters)).await.ok()
}

/// Whether two domains can have one organizational domain, so that one can prove a message of the
/// other (RFC 9989 4.10.2): one is within the other, or their last two labels are equal.
fn may_align(a: &str, b: &str) -> bool {
    let ascii = |name: &str| domain_name::ascii(name).map(|name| name.to_lowercase());
    let (Some(a), Some(b)) = (ascii(a), ascii(b)) else { return false };
    let end = |name: &str| {
        let mut dots = name.rmatch_indices('.').map(|(at, _)| at.saturating_add(1));
        let from = dots.nth(1).unwrap_or_default();
        name.get(from..).unwrap_or_default().to_owned()
    };
    is_related(&a, &b) || end(&a) == end(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_of_one_organization_may_align() {
        for (a, b) in [
            ("mail.example.org", "News.Example.org."),
            ("example.org", "a.b.example.org"),
            ("x.m\u{fc}ller.example", "y.xn--mller-kva.example"),
            ("a.shop.co.uk", "b.shop.co.uk"),
        ] {
            assert!(may_align(a, b) && may_align(b, a), "{a} {b}");
        }
        for (a, b) in [("example.org", "example.net"), ("", "example.org"), ("a.org", "b.org")] {
            assert!(!may_align(a, b) && !may_align(b, a), "{a} {b}");
        }
    }
}
