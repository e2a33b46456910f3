//! AUTHENTICATE (RFC 3501 6.2.2), with an initial response (SASL-IR, RFC 4959), and the response of
//! PLAIN (RFC 4616).

use data_encoding::BASE64;

use super::login::Login;
use crate::imap::cursor::{Cursor, SyntaxError};

/// A mechanism and the initial response, if the client sent one.
#[derive(PartialEq, Eq)]
pub(crate) struct Authenticate {
    pub(crate) mechanism: String,
    pub(crate) initial: Option<String>,
}

impl std::fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authenticate({})", self.mechanism)
    }
}

impl Authenticate {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let mechanism = cursor.atom()?.to_ascii_uppercase();
        let initial = if cursor.eat(" ") {
            let base64 = cursor
                .run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
            Some(String::from_utf8_lossy(base64).into_owned())
        } else {
            None
        };
        Ok(Self { mechanism, initial })
    }
}

/// Parses a PLAIN response: authorization identity, authentication identity, password (RFC 4616
/// section 2). `None` if it is malformed or the two identities differ.
pub(crate) fn plain(response: &str) -> Option<Login> {
    let bytes = BASE64.decode(response.trim_end_matches([' ', '\r']).as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mut parts = text.splitn(3, '\0');
    let (authorize, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    let is_same = authorize.is_empty() || authorize == user;
    (is_same && !user.is_empty() && !password.contains('\0'))
        .then(|| Login { user: user.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_response_is_parsed() {
        let login = plain("AGFsaWNlAHNlY3JldA==").unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("alice", "secret"));
        for wrong in ["", "x", "AGFsaWNl", "Ym9iAGFsaWNlAHNlY3JldA==", "*"] {
            assert!(plain(wrong).is_none(), "{wrong}");
        }
    }
}
