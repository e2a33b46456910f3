//! The PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt, section 2.2): a proxy that
//! passes a TCP connection through sends the client's address first, in a binary header.
//!
//! | bytes | |
//! |---|---|
//! | 0–11 | signature |
//! | 12 | version 2 (high half), command (low half): 0 LOCAL, 1 PROXY |
//! | 13 | address family (high half), transport (low half) |
//! | 14–15 | length of the rest, big-endian |
//! | 16– | source address, destination address, source port, destination port; then TLVs |
//!
//! The header is believed, so it is read only from the addresses that the configuration trusts, and
//! required from these: without that, a client could claim any address. No byte after the header is
//! read here.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

/// How long a proxy may take to send the header. The specification asks for at least three seconds,
/// the time of one TCP retransmission.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest header, in bytes: addresses and any usual TLVs. The format allows 65,551.
pub const HEADER_LEN_MAX: usize = 4096;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// The beginning of a header of version 1 (section 2.1).
const VERSION_1: &[u8] = b"PROXY ";
/// The bytes before the addresses.
const FIXED_LEN: usize = 16;

/// Why a header is refused; the connection is then closed.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The first bytes are not the signature of version 2.
    #[error("no PROXY protocol v2 signature")]
    Signature,
    /// The connection begins as a header of version 1 does, which is text.
    #[error("a PROXY protocol header of version 1")]
    Version1,
    /// The version is not 2, or the command neither LOCAL nor PROXY.
    #[error("unknown PROXY protocol version or command {0:#04x}")]
    Command(u8),
    /// The address family or the transport has no meaning in the specification.
    #[error("unknown PROXY protocol address family or transport {0:#04x}")]
    Family(u8),
    /// Longer than [`HEADER_LEN_MAX`], or too short for the addresses of its family.
    #[error("PROXY protocol header with a length of {0} after the fixed part")]
    Length(usize),
    /// The header did not arrive within [`HEADER_TIMEOUT`].
    #[error("no PROXY protocol header in time")]
    Timeout,
    /// The connection ended or broke within the header.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The kinds of [`ProxyError`] by their remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// The proxy sends no header.
    Missing,
    /// The proxy sends the text of version 1.
    Version1,
    /// The proxy sends a header of version 2 that breaks the specification.
    Malformed,
}

impl ProxyError {
    /// The kind of the error.
    pub fn fault(&self) -> HeaderFault {
        match self {
            Self::Signature | Self::Timeout | Self::Io(_) => HeaderFault::Missing,
            Self::Version1 => HeaderFault::Version1,
            Self::Command(_) | Self::Family(_) | Self::Length(_) => HeaderFault::Malformed,
        }
    }
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The client's address. `None` when the proxy itself is the client, as in a health check
    /// (LOCAL), does not know the client (family UNSPEC), or the client's connection is neither TCP
    /// over IPv4 nor over IPv6.
    pub client: Option<SocketAddr>,
}

/// The result of decoding the bytes received so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// So many more bytes belong to the header for certain.
    NeedMore(usize),
    /// The header is complete.
    Complete(Header),
}

/// Decodes the beginning of a header.
///
/// # Errors
/// As soon as the bytes can't become a valid header.
pub fn decode(bytes: &[u8]) -> Result<Decoded, ProxyError> {
    if !bytes.iter().zip(&SIGNATURE).all(|(byte, expected)| byte == expected) {
        let is_text = bytes.starts_with(VERSION_1);
        return Err(if is_text { ProxyError::Version1 } else { ProxyError::Signature });
    }
    let command = bytes.get(12).copied();
    if let Some(unknown) = command.filter(|command| !matches!(command, 0x20 | 0x21)) {
        return Err(ProxyError::Command(unknown));
    }
    let Some(&[command, family, high, low]) = bytes.get(12..FIXED_LEN) else {
        return Ok(Decoded::NeedMore(FIXED_LEN.saturating_sub(bytes.len())));
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    let address_len = match (command, family) {
        // LOCAL: the family is ignored (section 2.2). Valid families that are not supported are
        // taken as UNSPEC, as the section requires: datagrams (0x12, 0x22), UNIX sockets.
        (0x20, _) | (_, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => 0,
        (_, 0x11) => 12,
        (_, 0x21) => 36,
        (_, unsupported) => return Err(ProxyError::Family(unsupported)),
    };
    if len < address_len || FIXED_LEN + len > HEADER_LEN_MAX {
        return Err(ProxyError::Length(len));
    }
    let Some(rest) = bytes.get(FIXED_LEN..FIXED_LEN + len) else {
        return Ok(Decoded::NeedMore((FIXED_LEN + len).saturating_sub(bytes.len())));
    };
    let client = match (address_len, rest) {
        (12, &[a, b, c, d, _, _, _, _, high, low, ..]) => {
            Some(SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low]))))
        }
        (36, rest) => ipv6_client(rest),
        _ => None,
    };
    Ok(Decoded::Complete(Header { client }))
}

fn ipv6_client(rest: &[u8]) -> Option<SocketAddr> {
    let (address, rest) = rest.split_first_chunk::<16>()?;
    let (_destination, rest) = rest.split_first_chunk::<16>()?;
    let (port, _) = rest.split_first_chunk::<2>()?;
    Some(SocketAddr::new(IpAddr::from(*address).to_canonical(), u16::from_be_bytes(*port)))
}

/// Reads a header from `stream`, and no byte after it.
///
/// # Errors
/// As [`ProxyError`] says; the connection must be closed.
pub async fn read_header<S>(stream: &mut S, limit: Duration) -> Result<Header, ProxyError>
where
    S: AsyncRead + Unpin,
{
    let read = async {
        let mut bytes = Vec::new();
        loop {
            match decode(&bytes)? {
                Decoded::Complete(header) => return Ok(header),
                Decoded::NeedMore(missing) => {
                    let missing = u64::try_from(missing).unwrap_or(u64::MAX);
                    if (&mut *stream).take(missing).read_buf(&mut bytes).await? == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                }
            }
        }
    };
    tokio::time::timeout(limit, read).await.map_err(|_| ProxyError::Timeout)?
}

#[cfg(test)]
mod tests;
