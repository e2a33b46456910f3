//! The strict headers that every answer carries, whatever made it.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Nothing loads but our own styles, pictures and fonts; nothing frames us; forms stay here. No
/// script runs at all.
pub(crate) const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// A page that shows a letter in a frame of our own.
pub(crate) const PAGE_WITH_LETTER_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// The letter itself: an origin of its own, no scripts, no forms, nothing loaded but the style
/// sheet and its typeface; pictures only such as stand in the page itself. `sandbox` also holds
/// when the address is opened outside the frame.
pub(crate) const LETTER_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox",
);

const ALWAYS: [(HeaderName, HeaderValue); 6] = [
    (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// Two years, for this name alone: what else lives under the owner's domain is not ours to bind.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Adds each security header that the handler has not set itself; a handler can replace a policy or
/// a cache rule, never leave one out. `bound` adds HSTS: the browser then uses HTTPS alone.
pub(crate) fn add_security_headers(headers: &mut HeaderMap, bound: bool) {
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    // What did not say that it may be kept is private.
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    if bound {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
