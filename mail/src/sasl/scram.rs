//! The messages of SCRAM (RFC 5802 section 7) and the server's checks that need no password:
//! nonce, channel binding (RFC 9266) and identities.

use data_encoding::BASE64;
use freehold_core::logins::ScramProof;

use crate::stream::ChannelBinding;

/// The longest message from a client, in bytes: a proof is checked with each app password.
pub const MESSAGE_LEN_MAX: usize = 2048;
/// The longest nonce of a client, in bytes.
const NONCE_LEN_MAX: usize = 256;
/// The one type of channel binding (RFC 9266 section 3).
const BINDING_TYPE: &str = "tls-exporter";

/// Why an exchange failed. A wrong proof is not among them: it fails like a wrong password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// A message is not of RFC 5802 section 7.
    #[error("malformed SCRAM message: {0}")]
    Malformed(&'static str),
    /// The client asks to act as another user.
    #[error("you can't act as another user")]
    OtherIdentity,
    /// The client can bind channels and was told that the server can't (RFC 5802 section 6).
    #[error("this server offers SCRAM-SHA-256-PLUS; somebody may have removed it on the way")]
    Downgraded,
    /// Mechanism and message disagree about channel binding, or its type is not `tls-exporter`.
    #[error("channel binding needs SCRAM-SHA-256-PLUS and the type tls-exporter")]
    UnsupportedBinding,
    /// The client sees another TLS connection.
    #[error("the channel binding is wrong; somebody may sit between you and this server")]
    WrongBinding,
    /// The nonce is not that of this exchange.
    #[error("the nonce is wrong")]
    WrongNonce,
}

/// The client's support for channel binding: the `gs2-cbind-flag`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Flag {
    /// `n`: it has none.
    None,
    /// `y`: it has, and thinks that the server has none.
    ServerHasNone,
    /// `p`: it uses this type.
    Uses(String),
}

/// The client's first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFirst {
    flag: Flag,
    /// The `gs2-header`, which the client repeats in its last message.
    header: String,
    /// The user to act as; empty for `user`.
    authorize: String,
    user: String,
    nonce: String,
    /// The `client-first-message-bare`.
    bare: String,
}

impl ClientFirst {
    /// Parses the message.
    ///
    /// # Errors
    /// [`ScramError::Malformed`].
    pub fn parse(message: &[u8]) -> Result<Self, ScramError> {
        let text = text(message)?;
        let malformed = ScramError::Malformed;
        let (flag, rest) = text.split_once(',').ok_or(malformed("the header is incomplete"))?;
        let (authorize, bare) =
            rest.split_once(',').ok_or(malformed("the header is incomplete"))?;
        let header = text.get(..text.len() - bare.len()).unwrap_or_default().to_owned();
        let flag = match (flag, flag.strip_prefix("p=")) {
            ("n", _) => Flag::None,
            ("y", _) => Flag::ServerHasNone,
            (_, Some(name)) if is_binding_name(name) => Flag::Uses(name.to_owned()),
            _ => return Err(malformed("the flag of channel binding is not n, y or p")),
        };
        let authorize = match authorize.strip_prefix("a=") {
            Some(name) => name_of(name)?,
            None if authorize.is_empty() => String::new(),
            None => return Err(malformed("the header is not of RFC 5801")),
        };
        let mut attributes = bare.split(',');
        // A mandatory extension (m=) fails here too: there are none yet.
        let user = attributes.next().and_then(|user| user.strip_prefix("n="));
        let user = name_of(user.ok_or(malformed("the user name is missing"))?)?;
        let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r="));
        let nonce = nonce.ok_or(malformed("the nonce is missing"))?.to_owned();
        let is_printable = nonce.bytes().all(|byte| byte.is_ascii_graphic());
        if nonce.is_empty() || nonce.len() > NONCE_LEN_MAX || !is_printable {
            return Err(malformed("the nonce is empty, too long or not printable"));
        }
        extensions(attributes)?;
        Ok(Self { flag, header, authorize, user, nonce, bare: bare.to_owned() })
    }

    /// The user name.
    pub fn user(&self) -> &str {
        &self.user
    }
}

/// The server's side after the client's first message.
#[derive(Debug)]
pub struct ScramServer {
    first: ClientFirst,
    binding: Option<ChannelBinding>,
    /// The nonces of both.
    nonce: String,
    challenge: String,
}

impl ScramServer {
    /// The server's side of a login with channel binding or without. `nonce` is the server's, and
    /// new for each login.
    ///
    /// # Errors
    /// When the client wants another user or channel binding than the mechanism has, or was told
    /// that this server has none (RFC 5802 section 6).
    pub fn new(
        first: ClientFirst,
        binding: Option<ChannelBinding>,
        advertises_plus: bool,
        nonce: &str,
        salt: &[u8],
        iterations: u32,
    ) -> Result<Self, ScramError> {
        match (&first.flag, binding) {
            (Flag::Uses(name), Some(_)) if name == BINDING_TYPE => {}
            (Flag::Uses(_), _) | (_, Some(_)) => return Err(ScramError::UnsupportedBinding),
            (Flag::ServerHasNone, None) if advertises_plus => return Err(ScramError::Downgraded),
            (Flag::None | Flag::ServerHasNone, None) => {}
        }
        if !first.authorize.is_empty() && first.authorize != first.user {
            return Err(ScramError::OtherIdentity);
        }
        let nonce = format!("{}{nonce}", first.nonce);
        let challenge = format!("r={nonce},s={},i={iterations}", BASE64.encode(salt));
        Ok(Self { first, binding, nonce, challenge })
    }

    /// The `server-first-message`.
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// The user name.
    pub fn user(&self) -> &str {
        &self.first.user
    }

    /// Checks the client's last message and returns its proof.
    ///
    /// # Errors
    /// When the message is malformed, or its nonce or channel binding is wrong.
    pub fn proof(self, message: &[u8]) -> Result<ScramProof, ScramError> {
        let malformed = ScramError::Malformed;
        let text = text(message)?;
        let (signed, proof) = text.rsplit_once(",p=").ok_or(malformed("the proof is missing"))?;
        let proof = BASE64.decode(proof.as_bytes()).ok().and_then(|proof| proof.try_into().ok());
        let proof: [u8; 32] = proof.ok_or(malformed("the proof is not 32 bytes in base64"))?;
        let mut attributes = signed.split(',');
        let binding = attributes.next().and_then(|binding| binding.strip_prefix("c="));
        let binding = binding.and_then(|binding| BASE64.decode(binding.as_bytes()).ok());
        let binding = binding.ok_or(malformed("the channel binding is missing or no base64"))?;
        let nonce = attributes.next().and_then(|nonce| nonce.strip_prefix("r="));
        let nonce = nonce.ok_or(malformed("the nonce is missing"))?;
        extensions(attributes)?;
        if nonce != self.nonce {
            return Err(ScramError::WrongNonce);
        }
        let mut expected = self.first.header.into_bytes();
        expected.extend(self.binding.iter().flat_map(|binding| binding.0));
        if binding != expected {
            return Err(ScramError::WrongBinding);
        }
        let auth_message = format!("{},{},{signed}", self.first.bare, self.challenge);
        Ok(ScramProof { user: self.first.user, auth_message, proof })
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MESSAGE_LEN_MAX {
        return Err(ScramError::Malformed("it is too long"));
    }
    let text =
        std::str::from_utf8(message).map_err(|_| ScramError::Malformed("it is not UTF-8"))?;
    if text.contains('\0') { Err(ScramError::Malformed("it has a NUL")) } else { Ok(text) }
}

/// Reads a `saslname`, in which `,` is written `=2C` and `=` is written `=3D`.
fn name_of(written: &str) -> Result<String, ScramError> {
    let mut parts = written.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (decoded, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(ScramError::Malformed("a name has = without 2C or 3D")),
        };
        name.push(decoded);
        name.push_str(rest);
    }
    if name.is_empty() { Err(ScramError::Malformed("a name is empty")) } else { Ok(name) }
}

/// A `cb-name`: letters, digits, `.` and `-` (RFC 5056 section 7).
fn is_binding_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

/// Checks the attributes after the known ones; optional extensions are ignored (RFC 5802 section
/// 5.1).
fn extensions<'a>(attributes: impl Iterator<Item = &'a str>) -> Result<(), ScramError> {
    for attribute in attributes {
        let is_letter = attribute.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
        if !is_letter || attribute.as_bytes().get(1) != Some(&b'=') || attribute.len() < 3 {
            return Err(ScramError::Malformed("an extension is not letter=value"));
        }
        if attribute.starts_with("m=") {
            return Err(ScramError::Malformed("a mandatory extension is unknown"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
