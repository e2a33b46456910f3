//! Signatures of the owner's domain on outgoing mail (DKIM, RFC 6376), with RSA-2048 and with
//! ed25519 (RFC 8463).
//!
//! A message is signed when it is sent, with the newest keys whose DNS records are there: so a new
//! key signs nothing before the owner has published it, and the old one signs until then.

pub(crate) mod body;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use data_encoding::BASE64;
use freehold_core::blocking::{blocking, try_blocking};
use freehold_core::dkim::{self, Key, KeySet};
use freehold_core::domain_name;
use freehold_core::node::Node;
use freehold_core::profile;
use freehold_core::store::StoreError;
use mail_auth::common::crypto::{DkimKey, Ed25519Key, RsaKey, Sha256};
use mail_auth::dkim::{DkimSigner, Done};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::MailConfig;
use crate::dns::Dns;
use crate::state::MailState;

/// The fields that are signed (RFC 6376 5.4.1). Those given twice can't be added afterwards either
/// (RFC 6376 8.15).
const FIELDS: [&str; 22] = [
    "From",
    "From",
    "Reply-To",
    "Subject",
    "Subject",
    "Date",
    "To",
    "To",
    "Cc",
    "Cc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Sender",
    "Auto-Submitted",
];

/// A key with its place in DNS.
pub(crate) type Signer = DkimSigner<DkimKey, Done>;

/// The DNS record of a public key (RFC 6376 3.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimRecord {
    /// The name of the record, without a final dot.
    pub name: String,
    /// Its text.
    pub value: String,
    /// Whether DNS has it; `None` if it was not asked, or did not answer.
    pub is_published: Option<bool>,
}

/// One of the two keys of a set.
#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Rsa,
    Ed25519,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Rsa, Self::Ed25519];

    /// The first label of the record's name (RFC 6376 3.1).
    fn selector(self, number: u32) -> String {
        match self {
            Self::Rsa => format!("freehold{number}r"),
            Self::Ed25519 => format!("freehold{number}e"),
        }
    }

    fn key(self, set: &KeySet) -> &Key {
        match self {
            Self::Rsa => &set.rsa,
            Self::Ed25519 => &set.ed25519,
        }
    }

    fn record(self, set: &KeySet, domain: &str) -> DkimRecord {
        let kind = match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        };
        DkimRecord {
            name: format!("{}._domainkey.{domain}", self.selector(set.number)),
            value: format!("v=DKIM1; k={kind}; p={}", BASE64.encode(&self.key(set).public)),
            is_published: None,
        }
    }

    fn signer(self, set: &KeySet, domain: &str) -> Option<Signer> {
        let secret = &self.key(set).secret;
        let key = match self {
            Self::Rsa => {
                let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(secret.as_slice()));
                DkimKey::Rsa(RsaKey::<Sha256>::from_key_der(der).ok()?)
            }
            Self::Ed25519 => DkimKey::Ed25519(Ed25519Key::from_pkcs8_der(secret).ok()?),
        };
        let signer = DkimSigner::from_key(key).domain(domain);
        Some(signer.selector(self.selector(set.number)).headers(FIELDS))
    }
}

/// Makes new keys and returns their number. They sign once their records are in DNS.
///
/// # Errors
/// The store's, or the failure to make a key.
pub async fn rotate(node: &Node) -> Result<u32, StoreError> {
    add_set(node, false).await
}

async fn add_set(node: &Node, if_none: bool) -> Result<u32, StoreError> {
    let made = blocking(|| Some((new_rsa()?, new_ed25519()?))).await?;
    let failed = || StoreError::Unavailable("a key for signatures could not be made".to_owned());
    let (rsa, ed25519) = made.ok_or_else(failed)?;
    dkim::add(node, rsa, ed25519, if_none).await
}

fn new_rsa() -> Option<Key> {
    let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).ok()?;
    let secret = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).ok()?.as_ref().to_vec();
    let public = aws_lc_rs::signature::KeyPair::public_key(&pair);
    let public = AsDer::<PublicKeyX509Der<'_>>::as_der(public).ok()?.as_ref().to_vec();
    Some(Key { secret, public })
}

fn new_ed25519() -> Option<Key> {
    let secret = Ed25519Key::generate_pkcs8().ok()?;
    let public = Ed25519Key::from_pkcs8_der(&secret).ok()?.public_key();
    Some(Key { secret, public })
}

/// The records of all keys, the newest set first. With `config`, DNS is asked for them.
///
/// # Errors
/// The store's.
pub async fn records(
    node: &Node,
    config: Option<&MailConfig>,
) -> Result<Vec<DkimRecord>, StoreError> {
    let (domain, sets) = read(node).await?;
    let dns = config.and_then(|config| Dns::new(&config.dns_servers));
    let mut records = Vec::new();
    for set in sets.iter().rev() {
        for algorithm in Algorithm::ALL {
            let mut record = algorithm.record(set, &domain);
            if let Some(dns) = &dns {
                record.is_published = is_published(dns, &record).await;
            }
            records.push(record);
        }
    }
    Ok(records)
}

/// The owner's domain as DNS has it, and the sets, the newest last. The first set is made here;
/// a domain that is not a public one has none.
async fn read(node: &Node) -> Result<(String, Vec<KeySet>), StoreError> {
    let reading = node.clone();
    let (domain, sets) = try_blocking(move || {
        let domain = profile::get(&reading)?.map(|owner| owner.domain).unwrap_or_default();
        let domain = domain_name::ascii(&domain).unwrap_or_default().into_owned();
        Ok::<_, StoreError>((domain, dkim::all(&reading)?))
    })
    .await?;
    if domain_name::is_special_use(&domain) {
        return Ok((domain, Vec::new()));
    }
    if !sets.is_empty() {
        return Ok((domain, sets));
    }
    add_set(node, true).await?;
    let reading = node.clone();
    Ok((domain, try_blocking(move || dkim::all(&reading)).await?))
}

/// Whether DNS has the record; `None` if it does not answer.
async fn is_published(dns: &Dns, record: &DkimRecord) -> Option<bool> {
    let found = dns.texts(&record.name).await.ok()?;
    let public = |text: &str| {
        let mut tags = text.split(';').filter_map(|tag| tag.split_once('='));
        let key = tags.find(|(name, _)| name.trim() == "p").map(|(_, value)| value);
        key.map(|key| key.chars().filter(|c| !c.is_whitespace()).collect::<String>())
    };
    Some(found.iter().any(|text| public(text) == public(&record.value)))
}

/// The signers for a message: of each algorithm the newest key whose record is in DNS. If DNS does
/// not answer for a key, it signs as well.
///
/// # Errors
/// The store's.
pub(crate) async fn signers(state: &MailState) -> Result<Vec<Signer>, StoreError> {
    let (domain, sets) = read(&state.node).await?;
    let Some(dns) = state.dns.get().filter(|_| !sets.is_empty()) else { return Ok(Vec::new()) };
    let mut signers = Vec::new();
    for algorithm in Algorithm::ALL {
        for set in sets.iter().rev() {
            if is_published(dns, &algorithm.record(set, &domain)).await != Some(false) {
                signers.extend(algorithm.signer(set, &domain));
                break;
            }
        }
    }
    Ok(signers)
}

#[cfg(test)]
mod tests {
    use mail_auth::common::headers::HeaderWriter;

    use super::*;

    #[test]
    fn made_keys_sign_and_have_records() {
        let set = KeySet {
            number: 2,
            made: freehold_core::clock::Timestamp(0),
            rsa: new_rsa().unwrap(),
            ed25519: new_ed25519().unwrap(),
        };
        for (algorithm, selector, kind) in
            [(Algorithm::Rsa, "freehold2r", "rsa"), (Algorithm::Ed25519, "freehold2e", "ed25519")]
        {
            let record = algorithm.record(&set, "alice.house");
            assert_eq!(record.name, format!("{selector}._domainkey.alice.house"));
            assert!(record.value.starts_with(&format!("v=DKIM1; k={kind}; p=")), "{record:?}");
            let signer = algorithm.signer(&set, "alice.house").unwrap();
            let signature = signer.sign(b"From: alice@alice.house\r\n\r\nHello.\r\n").unwrap();
            let field = signature.to_header().replace("\r\n\t", "");
            assert!(field.contains(&format!("s={selector};")), "{field}");
            assert_eq!(field.to_lowercase().matches("from").count(), 2, "{field}");
        }
    }
}
