//! The wanted records beside those that DNS answers.

use crate::judge::{State, judge};
use crate::{Data, Domain, Kind, LookupError, Record, Resolver, Wanted};

/// A wanted record, and what DNS says to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The record.
    pub wanted: Wanted,
    /// What DNS says.
    pub state: State,
}

/// Asks DNS for each record of the domain, one after the other.
pub async fn compare(resolver: &Resolver, domain: &Domain) -> Vec<Comparison> {
    let mut comparisons = Vec::new();
    for wanted in domain.records() {
        let state = match found(resolver, &wanted.record).await {
            Ok(found) => judge(domain, &wanted.record, &found),
            Err(error) => State::Unanswered(error.cause),
        };
        comparisons.push(Comparison { wanted, state });
    }
    comparisons
}

/// Addresses that DNS has at the names of the machine and that are not the machine's, of a kind of
/// which it has none: for example the IPv6 address of the host before. Others try them first.
///
/// # Errors
/// DNS did not answer.
pub async fn stale_addresses(
    resolver: &Resolver,
    domain: &Domain,
) -> Result<Vec<(String, Data)>, LookupError> {
    let mut stale = Vec::new();
    let has = |is_v4: bool| domain.addresses.iter().any(|address| address.is_ipv4() == is_v4);
    let mut names = vec![&domain.name, &domain.host];
    names.dedup();
    for name in names {
        for (kind, is_v4) in [(Kind::A, true), (Kind::Aaaa, false)] {
            if !has(is_v4) {
                let found = resolver.lookup(name, kind).await?;
                stale.extend(found.into_iter().map(|data| (name.clone(), data)));
            }
        }
    }
    Ok(stale)
}

async fn found(resolver: &Resolver, wanted: &Record) -> Result<Vec<Data>, LookupError> {
    let name = &wanted.name;
    match wanted.data.kind() {
        // Resolvers differ in what they answer to a question for CNAME, and an address does as
        // well.
        Kind::Cname => {
            let mut found = resolver.lookup(name, Kind::A).await?;
            found.extend(resolver.lookup(name, Kind::Aaaa).await?);
            Ok(found)
        }
        kind => resolver.lookup(name, kind).await,
    }
}
