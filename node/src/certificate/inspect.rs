//! The contents of a certificate: validity and names, for warnings and renewal.

use freehold_core::clock::Timestamp;
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY_SECS: i64 = 24 * 60 * 60;
/// The owner is warned when the certificate expires within so many days.
const WARNING_DAYS: i64 = 14;

/// Whether the bytes are a certificate.
pub(super) fn is_certificate(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok()
        && ParsedCertificate::try_from(certificate).is_ok()
}

/// The days until a certificate expires, rounded down; negative after that.
pub(super) fn days_left(certificate: &CertificateDer<'_>, now: Timestamp) -> Option<i64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some((parsed.validity().not_after.timestamp() - secs(now)).div_euclid(DAY_SECS))
}

/// The names, out of `names`, that a certificate is not valid for.
pub(super) fn missing<'a>(certificate: &CertificateDer<'_>, names: &'a [String]) -> Vec<&'a str> {
    let Ok(leaf) = ParsedCertificate::try_from(certificate) else { return Vec::new() };
    let lacks = |name: &&str| {
        ServerName::try_from(*name).is_ok_and(|name| verify_server_name(&leaf, &name).is_err())
    };
    names.iter().map(String::as_str).filter(lacks).collect()
}

/// The reasons for which clients will refuse a certificate, now or soon.
pub(super) fn warnings(
    certificate: &CertificateDer<'_>,
    names: &[String],
    now: Timestamp,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let (now, validity) = match X509Certificate::from_der(certificate) {
        Ok((_, parsed)) => (secs(now), parsed.validity().clone()),
        Err(_) => return warnings,
    };
    let (from, until) = (validity.not_before, validity.not_after);
    if now < from.timestamp() {
        warnings.push(format!(
            "the certificate is not valid before {from}; if that is past, set this machine's clock"
        ));
    } else if now > until.timestamp() {
        warnings.push(format!("the certificate expired on {until}; renew it"));
    } else if until.timestamp() - now < WARNING_DAYS * DAY_SECS {
        warnings.push(format!("the certificate expires on {until}; renew it before that"));
    }
    let missing = missing(certificate, names);
    if !missing.is_empty() {
        warnings.push(format!(
            "the certificate does not name {}; clients refuse it under that name",
            missing.join(", ")
        ));
    }
    warnings
}

fn secs(now: Timestamp) -> i64 {
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
