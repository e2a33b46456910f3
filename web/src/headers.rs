//! The security headers that every response carries, whichever handler made it.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::assets::Script;

/// Nothing loads but our own styles, images and fonts; no site may frame us; forms are sent to this
/// site only. No script runs but those of [`with_scripts`]; `connect-src` lets tools that inspect a
/// page fetch robots.txt.
pub(crate) const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);
/// A page with a form for a long text.
pub(crate) static PAGE_WITH_EDITOR_POLICY: LazyLock<HeaderValue> =
    LazyLock::new(|| with_scripts(PAGE_POLICY, &[Script::Editor]));
/// A page with a list of messages.
pub(crate) static PAGE_WITH_MAILBOX_POLICY: LazyLock<HeaderValue> =
    LazyLock::new(|| with_scripts(PAGE_POLICY, &[Script::Mailbox]));
/// A page that shows a message in frames from this site.
pub(crate) static PAGE_WITH_MESSAGE_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let page = HeaderValue::from_static(
        "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; frame-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    with_scripts(page, &[Script::Message, Script::Mailbox])
});

/// The policy that also allows some scripts. Each is named by its hash (CSP 3, 8.4), so no other
/// file of this site can be a script.
fn with_scripts(policy: HeaderValue, scripts: &[Script]) -> HeaderValue {
    let hashes: Vec<String> =
        scripts.iter().map(|script| format!("'{}'", script.integrity())).collect();
    let longer =
        format!("{}; script-src {}", policy.to_str().unwrap_or_default(), hashes.join(" "));
    HeaderValue::from_str(&longer).unwrap_or(policy)
}

/// The HTML of a message: no scripts, no forms, nothing loaded but the style sheet, its font and
/// the pictures that came inside the message. `sandbox` also applies if the address is opened
/// outside the frame. It has the origin of the page, which measures it; without scripts it can't
/// use that.
pub(crate) const MESSAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self' data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'self'; \
     sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox",
);

/// The name and value of the header that lets other sites show a public picture (Fetch 3.7):
/// readers of the feed on the web show its pictures from here.
pub(crate) const SHOWN_ANYWHERE: (HeaderName, HeaderValue) = (
    HeaderName::from_static("cross-origin-resource-policy"),
    HeaderValue::from_static("cross-origin"),
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

/// Two years, without `includeSubDomains`: other hosts of the owner's domain may not have TLS.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Adds each security header that the handler has not set itself; a handler can replace a policy or
/// a cache rule, never leave one out. `hsts` adds
/// `Strict-Transport-Security` (RFC 6797).
pub(crate) fn add_security_headers(headers: &mut HeaderMap, hsts: bool) {
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    // A response without a cache rule is private.
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    if hsts {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
}
