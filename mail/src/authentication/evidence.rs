//! The results of the checks as the judgement of a message needs them.

use std::net::IpAddr;

use freehold_core::domain_name;
use freehold_core::mailbox::{Disowned, Evidence};
use mail_auth::dmarc::Policy;
use mail_auth::{DkimResult, DmarcOutput, DmarcResult, IprevResult, SpfResult};

use super::results::Checks;

/// The evidence if DNS can't be asked.
pub(super) fn unchecked(address: IpAddr, authors: Vec<String>) -> Evidence {
    Evidence {
        address,
        authors,
        is_checked: false,
        proven: None,
        disowned: None,
        passed_on_by: None,
        has_no_reverse_name: false,
        block_lists: Vec::new(),
        added_field: None,
        friend: None,
    }
}

/// The evidence of `checks`. `domains` are those of the authors, as DNS has them.
pub(super) fn of(
    checks: &Checks<'_>,
    authors: Vec<String>,
    domains: &[String],
    block_lists: Vec<String>,
) -> Evidence {
    let disowned = checks.dmarc.iter().find(|dmarc| is_disowned(dmarc)).map(disowned);
    // Nobody writes in the name of so many domains: the next one may be the one that is forged.
    let unchecked_domain = domains.get(checks.dmarc.len());
    Evidence {
        is_checked: has_all_answers(checks),
        proven: domains.first().filter(|domain| is_proven(checks, domain)).cloned(),
        disowned: disowned.or_else(|| {
            unchecked_domain.map(|domain| Disowned { domain: domain.clone(), is_refused: false })
        }),
        passed_on_by: passed_on_by(checks),
        has_no_reverse_name: checks.iprev.as_ref().is_some_and(|iprev| {
            matches!(iprev.result, IprevResult::Fail(_) | IprevResult::PermError(_))
        }),
        block_lists,
        ..unchecked(checks.sender.address.to_canonical(), authors)
    }
}

/// Whether DNS answered every question about the author.
fn has_all_answers(checks: &Checks<'_>) -> bool {
    let is_unanswered = |result: &DmarcResult| matches!(result, DmarcResult::TempError(_));
    checks.spf.result() != SpfResult::TempError
        && !checks
            .signatures
            .iter()
            .any(|output| matches!(output.result(), DkimResult::TempError(_)))
        && !checks.dmarc.iter().any(|dmarc| is_unanswered(&dmarc.result()))
}

/// Whether the domain's policy is to be applied. A check that DNS did not answer proves nothing.
fn is_disowned(dmarc: &DmarcOutput) -> bool {
    is_strict(dmarc) && matches!(dmarc.result(), DmarcResult::Fail(_) | DmarcResult::PermError(_))
}

/// The domain whose policy would be applied to the message if the proofs that DNS does not answer
/// for were none. The attacker chooses the names that are asked, so a missing answer is no way
/// around the policy.
pub(super) fn undecided(checks: &Checks<'_>) -> Option<Disowned> {
    let is_undecided = |dmarc: &&DmarcOutput| {
        is_strict(dmarc) && matches!(dmarc.result(), DmarcResult::TempError(_))
    };
    checks.dmarc.iter().find(is_undecided).map(disowned)
}

fn disowned(dmarc: &DmarcOutput) -> Disowned {
    let is_refused = dmarc.policy() == Policy::Reject;
    Disowned { domain: dmarc.domain().to_owned(), is_refused }
}

fn is_strict(dmarc: &DmarcOutput) -> bool {
    matches!(dmarc.policy(), Policy::Quarantine | Policy::Reject)
}

/// Whether the domain proves that it sent the message: by DMARC, and without a policy by SPF or
/// DKIM of the very domain.
fn is_proven(checks: &Checks<'_>, domain: &str) -> bool {
    let mut of_domain = checks.dmarc.iter().filter(|dmarc| dmarc.domain() == domain);
    let by_dmarc = of_domain.any(|dmarc| dmarc.result() == DmarcResult::Pass);
    let by_dkim = checks.signatures.iter().any(|output| {
        *output.result() == DkimResult::Pass
            && output
                .signature()
                .is_some_and(|signature| domain_name::is_same(&signature.d, domain))
    });
    let by_spf = checks.spf.result() == SpfResult::Pass
        && domain_name::is_same(checks.sender.domain(), domain);
    by_dmarc || by_dkim || by_spf
}

/// The domain of the last seal of a valid chain (ARC, RFC 8617 5.2).
fn passed_on_by(checks: &Checks<'_>) -> Option<String> {
    let arc = checks.arc.as_ref().filter(|arc| *arc.result() == DkimResult::Pass)?;
    Some(arc.sets().last()?.seal.header.d.to_ascii_lowercase())
}
