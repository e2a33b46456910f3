//! The messages on a stream: frames of a 4-byte big-endian length, a version byte, and CBOR with
//! integer keys.
//!
//! The length is checked against the message's own limit before any byte is allocated or read. Wire
//! types are separate from core's: their content is unverified until `receive` has handed it to
//! core.

pub(crate) mod blob;
pub(crate) mod feed;
pub(crate) mod follow;
pub(crate) mod frame;
pub(crate) mod hello;
pub(crate) mod identity;
pub(crate) mod mail;
pub(crate) mod relay;
pub(crate) mod sync;

/// The names of the protocols, in the order in which a connection uses them.
pub(crate) const PROTOCOLS: [&str; 7] = [
    hello::PROTOCOL,
    identity::PROTOCOL,
    follow::PROTOCOL,
    sync::PROTOCOL,
    blob::PROTOCOL,
    mail::PROTOCOL,
    relay::PROTOCOL,
];

/// The version byte of every message of this release.
const VERSION: u8 = 1;

/// A message with a limit of its length.
pub(crate) trait Message: minicbor::Encode<()> + for<'b> minicbor::Decode<'b, ()> {
    /// The most bytes it may have, version byte included.
    const LEN_MAX: usize;
}

/// Why bytes are not a valid message.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// A version that this node does not know.
    #[error("unknown message version")]
    Version,
    /// Not the CBOR of this message, or bytes after it.
    #[error("malformed message")]
    Malformed,
}

/// The bytes of a message.
pub(crate) fn encode<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    // Writing to memory cannot fail.
    let written = minicbor::encode(message, &mut bytes);
    debug_assert!(written.is_ok(), "the derived encoders have no errors of their own");
    bytes
}

/// The message in `bytes`, all of them.
pub(crate) fn decode<M: Message>(bytes: &[u8]) -> Result<M, DecodeError> {
    let (version, cbor) = bytes.split_first().ok_or(DecodeError::Malformed)?;
    if *version != VERSION {
        return Err(DecodeError::Version);
    }
    let mut decoder = minicbor::Decoder::new(cbor);
    let message = decoder.decode().map_err(|_| DecodeError::Malformed)?;
    if decoder.position() != cbor.len() {
        return Err(DecodeError::Malformed);
    }
    Ok(message)
}

#[cfg(test)]
mod tests;
