//! The preconditions of a request about the version it knows (RFC 9110 13): If-Match and
//! If-None-Match.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The answer that the preconditions ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome<'a> {
    /// The content.
    Content,
    /// 304: the client has this version.
    NotModified(&'a HeaderValue),
    /// 412: the version that the client wants is not the current one.
    Failed,
}

/// Evaluates the preconditions of a GET or HEAD in the order of RFC 9110 13.2.2. `etags` are those
/// of the current version in each content coding, that of the response first.
pub(crate) fn evaluate<'a>(request_headers: &HeaderMap, etags: &[&'a HeaderValue]) -> Outcome<'a> {
    if request_headers.contains_key(header::IF_MATCH)
        && named(request_headers, header::IF_MATCH, etags, Comparison::Strong).is_none()
    {
        return Outcome::Failed;
    }
    named(request_headers, header::IF_NONE_MATCH, etags, Comparison::Weak)
        .map_or(Outcome::Content, Outcome::NotModified)
}

/// RFC 9110 8.8.3.2.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// The ETag that a header with a list of ETags names; the first one for `*`.
fn named<'a>(
    request_headers: &HeaderMap,
    name: HeaderName,
    etags: &[&'a HeaderValue],
    comparison: Comparison,
) -> Option<&'a HeaderValue> {
    let lines = request_headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).find_map(|tag| {
        if tag == "*" {
            return etags.first().copied();
        }
        let tag = match (comparison, tag.strip_prefix("W/")) {
            (Comparison::Weak, Some(tag)) => tag,
            _ => tag,
        };
        etags.iter().copied().find(|etag| etag.as_bytes() == tag.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etag_lists_are_compared_strongly_or_weakly() {
        let [own, other] = ["\"a\"", "\"a-gzip\""].map(HeaderValue::from_static);
        let etags = [&own, &other];
        for (name, value, outcome) in [
            ("if-none-match", "\"a\"", Outcome::NotModified(&own)),
            ("if-none-match", "\"x\", W/\"a-gzip\"", Outcome::NotModified(&other)),
            ("if-none-match", "*", Outcome::NotModified(&own)),
            ("if-none-match", "a", Outcome::Content),
            ("if-match", "\"x\",\"a\"", Outcome::Content),
            ("if-match", "*", Outcome::Content),
            ("if-match", "W/\"a\"", Outcome::Failed),
            ("if-match", "\"x\"", Outcome::Failed),
            ("if-match", "", Outcome::Failed),
            ("accept", "*", Outcome::Content),
        ] {
            let name = HeaderName::from_static(name);
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            assert_eq!(evaluate(&headers, &etags), outcome, "{value}");
        }
        let mut headers = HeaderMap::new();
        for tag in ["\"x\"", "\"a\""] {
            headers.append(header::IF_NONE_MATCH, HeaderValue::from_static(tag));
        }
        assert_eq!(evaluate(&headers, &etags), Outcome::NotModified(&own));
    }
}
