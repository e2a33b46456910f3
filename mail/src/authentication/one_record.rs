//! Names with more than one record of SPF or DMARC. mail-auth reads the first that it can parse, so
//! the order in which a resolver answers would decide. Several SPF records are an error (RFC 7208
//! 4.5), and several DMARC records are none (RFC 9989 4.10).

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    DmarcOutput, DnsError, Error, Parameters, ResolverCache, SpfOutput, SpfResult, Txt,
};

use crate::dns::Dns;

/// How often DMARC is checked again without the records found ambiguous. A check asks at most eight
/// names for each of the domains that it compares.
const ROUNDS_MAX: usize = 4;

/// The TXT records that one check has asked for, by name.
#[derive(Default)]
struct Asked(Mutex<HashMap<Box<str>, Txt>>);

impl Asked {
    fn names(&self) -> MutexGuard<'_, HashMap<Box<str>, Txt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names with a record of this kind.
    fn with(&self, is_kind: fn(&Txt) -> bool) -> Vec<Box<str>> {
        self.names().iter().filter(|(_, txt)| is_kind(txt)).map(|(name, _)| name.clone()).collect()
    }
}

impl ResolverCache<Box<str>, Txt> for Asked {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.names().get(name).cloned()
    }

    fn remove<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.names().remove(name)
    }

    fn insert(&self, name: Box<str>, txt: Txt, _valid_until: Instant) {
        self.names().insert(name, txt);
    }
}

/// SPF, with an error if a record that the check has read is not the only one of its name.
pub(super) async fn spf(dns: &Dns, parameters: SpfParameters<'_>, domain: &str) -> SpfOutput {
    let asked = Asked::default();
    let parameters = Parameters::new(parameters).with_txt_cache(&asked);
    let output = dns.authenticator().verify_spf(parameters).await;
    for name in asked.with(|txt| matches!(txt, Txt::Spf(_))) {
        if has_several(dns, &name, is_spf).await {
            return SpfOutput::new(domain.to_owned()).with_result(SpfResult::PermError);
        }
    }
    output
}

/// DMARC without the records of names that have several.
pub(super) async fn dmarc<'a>(
    dns: &Dns,
    parameters: impl Fn() -> DmarcParameters<'a>,
) -> DmarcOutput {
    let (asked, mut known) = (Asked::default(), Vec::new());
    let mut round = 0;
    loop {
        let check = Parameters::new(parameters()).with_txt_cache(&asked);
        let output = dns.authenticator().verify_dmarc(check).await;
        let mut is_ambiguous = false;
        for name in asked.with(|txt| matches!(txt, Txt::Dmarc(_))) {
            if known.contains(&name) {
                continue;
            }
            if has_several(dns, &name, is_dmarc).await {
                is_ambiguous = true;
                let none = Txt::Error(Error::Dns(DnsError::InvalidRecordType));
                asked.names().insert(name, none);
            } else {
                known.push(name);
            }
        }
        round += 1;
        if !is_ambiguous || round > ROUNDS_MAX {
            return output;
        }
    }
}

/// Whether a name has several records of a kind. The resolver has just cached them.
async fn has_several(dns: &Dns, name: &str, is_kind: fn(&str) -> bool) -> bool {
    let texts = dns.texts(name.trim_end_matches('.')).await.unwrap_or_default();
    texts.iter().filter(|text| is_kind(text)).count() > 1
}

/// RFC 7208 4.5: the version is the whole first word.
fn is_spf(text: &str) -> bool {
    text.split(' ').next().is_some_and(|version| version.eq_ignore_ascii_case("v=spf1"))
}

/// RFC 9989 4.8: the version is the first tag.
fn is_dmarc(text: &str) -> bool {
    let first = text.split(';').next().unwrap_or_default();
    first
        .split_once('=')
        .is_some_and(|(tag, version)| tag.trim_ascii() == "v" && version.trim_ascii() == "DMARC1")
}
