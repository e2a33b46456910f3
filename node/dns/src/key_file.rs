//! The file of a TSIG key, in the syntax that `tsig-keygen` of BIND and `keymgr -t` of knot write:
//! `key "name" { algorithm hmac-sha256; secret "base64"; };` or, of knot, YAML lines.

use std::fmt::{self, Debug, Formatter};

use data_encoding::BASE64;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::proto::rr::TSigner;
use hickory_resolver::proto::rr::rdata::tsig::TsigAlgorithm;

use crate::wire;

/// How far the clocks of both sides may be apart, in seconds (RFC 8945 10 asks for 300).
const FUDGE_SECS: u16 = 300;
/// The longest file that is read, in bytes.
const FILE_LEN_MAX: usize = 16 * 1024;

/// A key that signs updates (RFC 8945).
#[derive(Clone)]
pub struct TsigKey(pub(crate) TSigner);

/// The secret is not shown.
impl Debug for TsigKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "TsigKey({})", self.0.signer_name())
    }
}

/// The file of a key can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// A part is missing.
    #[error(
        "the key file has no {0}; it looks like: key \"name\" {{ algorithm hmac-sha256; secret \
         \"base64\"; }};"
    )]
    Missing(&'static str),
    /// The name is none that DNS can have.
    #[error("the key's name {0:?} is no DNS name")]
    Name(String),
    /// The secret is not base64.
    #[error("the key's secret is not base64")]
    Secret,
    /// An algorithm that is not supported.
    #[error("the algorithm {0:?} is not supported; use hmac-sha256, hmac-sha384 or hmac-sha512")]
    Algorithm(String),
    /// The file is longer than a key's.
    #[error("the key file is longer than 16 KiB")]
    TooLong,
}

/// Reads the first key of the file.
///
/// # Errors
/// Names the part that is missing or wrong; never the secret.
pub fn parse_key_file(text: &str) -> Result<TsigKey, KeyFileError> {
    if text.len() > FILE_LEN_MAX {
        return Err(KeyFileError::TooLong);
    }
    let words = words(text);
    let after = |names: &[&str]| {
        let at = words.iter().position(|word| names.contains(&word.as_str()))?;
        words.get(at + 1).cloned()
    };
    let name = after(&["key", "id"]);
    let name = match name.as_deref() {
        // knot: `key:` holds a list, each with `id:`.
        Some("id" | "-") => after(&["id"]),
        _ => name,
    };
    let name = name.ok_or(KeyFileError::Missing("name"))?;
    let algorithm = after(&["algorithm"]).ok_or(KeyFileError::Missing("algorithm"))?;
    let secret = after(&["secret"]).ok_or(KeyFileError::Missing("secret"))?;
    let parsed: Name = wire::name(&name).map_err(|_| KeyFileError::Name(name.clone()))?;
    let secret = BASE64.decode(secret.as_bytes()).map_err(|_| KeyFileError::Secret)?;
    let algorithm = match algorithm.to_ascii_lowercase().as_str() {
        "hmac-sha256" => TsigAlgorithm::HmacSha256,
        "hmac-sha384" => TsigAlgorithm::HmacSha384,
        "hmac-sha512" => TsigAlgorithm::HmacSha512,
        _ => return Err(KeyFileError::Algorithm(algorithm)),
    };
    let signer = TSigner::new(secret, algorithm.clone(), parsed, FUDGE_SECS);
    signer.map(TsigKey).map_err(|_| KeyFileError::Algorithm(algorithm.to_string()))
}

/// The words of the file, without punctuation, quotes and comments (`#` and `//` to the line's
/// end).
fn words(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        // Base64 may have two slashes: a comment begins a word.
        let comment = match line.trim_start().starts_with("//") {
            true => Some(0),
            false => line.find(" //"),
        };
        comment.and_then(|at| line.get(..at)).unwrap_or(line)
    });
    let is_between = |c: char| c.is_whitespace() || "{};\":[],".contains(c);
    lines
        .flat_map(|line| line.split(is_between))
        .filter(|word| !word.is_empty() && *word != "-")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_bind_and_knot_are_read() {
        let bind = "# made by a tool\nkey \"node.ruth.example.\" {\n\talgorithm hmac-sha256;\n\t\
                    secret \"c2VjcmV0IG9mIHRoZSBrZXk//w==\"; // none\n};\n";
        let knot = "# hmac-sha256:node.ruth.example:c2VjcmV0\nkey:\n  - id: node.ruth.example\n    \
                    algorithm: hmac-sha256\n    secret: c2VjcmV0IG9mIHRoZSBrZXk//w==\n";
        for file in [bind, knot] {
            let key = parse_key_file(file).unwrap().0;
            assert_eq!(key.signer_name().to_ascii(), "node.ruth.example.");
            assert_eq!(key.key(), b"secret of the key?\xff");
        }
    }

    #[test]
    fn file_without_a_usable_key_is_refused() {
        let key = |algorithm: &str, secret: &str| {
            parse_key_file(&format!("key k {{ algorithm {algorithm}; secret \"{secret}\"; }};"))
        };
        assert!(key("hmac-sha512", "QUJD").is_ok());
        assert!(matches!(key("hmac-md5", "QUJD"), Err(KeyFileError::Algorithm(_))));
        assert!(matches!(key("hmac-sha256", "not base64!"), Err(KeyFileError::Secret)));
        assert!(matches!(parse_key_file(""), Err(KeyFileError::Missing("name"))));
        assert!(matches!(parse_key_file("key k { }"), Err(KeyFileError::Missing("algorithm"))));
        assert_eq!(
            parse_key_file(&" ".repeat(FILE_LEN_MAX + 1)).err(),
            Some(KeyFileError::TooLong)
        );
    }

    #[test]
    fn secret_is_in_no_message() {
        let key = parse_key_file("key k { algorithm hmac-sha256; secret \"QUJD\"; };").unwrap();
        assert!(!format!("{key:?}").contains("QUJD") && !format!("{key:?}").contains("ABC"));
    }
}
