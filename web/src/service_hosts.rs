//! Hosts of the owner's domain that serve one thing each to other servers and to mail programs:
//! `mta-sts.` (RFC 8461 3.2), `autoconfig.`, `autodiscover.` and `openpgpkey.`
//! (draft-koch-openpgp-webkey-service 3.1). They show no page of the site.

use freehold_core::domain_name;
use freehold_core::profile::Profile;

/// The content of such a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    MtaSts,
    Autoconfig,
    Autodiscover,
    OpenPgpKey,
}

const LABELS: [(&str, Service); 4] = [
    ("mta-sts", Service::MtaSts),
    ("autoconfig", Service::Autoconfig),
    ("autodiscover", Service::Autodiscover),
    ("openpgpkey", Service::OpenPgpKey),
];

impl Service {
    /// The service of a host (from [`crate::hosts::host_of`]); `None` for any other host.
    pub(crate) fn of(host: &str, owner: Option<&Profile>) -> Option<Self> {
        let (label, domain) = host.split_once('.')?;
        let (_, service) = LABELS.iter().find(|(known, _)| *known == label)?;
        owner.filter(|owner| domain_name::is_same(domain, &owner.domain)).map(|_| *service)
    }

    /// Whether a path belongs to the service.
    pub(crate) fn has(self, path: &str) -> bool {
        match self {
            Self::MtaSts => path == "/.well-known/mta-sts.txt",
            Self::Autoconfig => matches!(
                path,
                "/mail/config-v1.1.xml" | "/.well-known/autoconfig/mail/config-v1.1.xml"
            ),
            Self::Autodiscover => path.eq_ignore_ascii_case("/autodiscover/autodiscover.xml"),
            Self::OpenPgpKey => path.starts_with("/.well-known/openpgpkey/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use freehold_core::testing::profile_of;

    #[test]
    fn service_hosts_are_those_of_the_owner() {
        let alice = profile_of("alice");
        let of = |host: &str| Service::of(host, Some(&alice));
        let domain = &alice.domain;
        assert_eq!(of(&format!("mta-sts.{domain}")), Some(Service::MtaSts));
        assert_eq!(of(&format!("openpgpkey.{domain}")), Some(Service::OpenPgpKey));
        for host in [domain.clone(), "mta-sts.evil.example".into(), format!("www.{domain}")] {
            assert_eq!(of(&host), None, "{host}");
        }
        assert_eq!(Service::of(&format!("mta-sts.{domain}"), None), None);
        assert!(!Service::MtaSts.has("/") && !Service::Autoconfig.has("/.well-known/mta-sts.txt"));
    }
}
