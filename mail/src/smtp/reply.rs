//! Replies: a code, an enhanced status code, and a text.

use std::borrow::Cow;
use std::fmt;

use freehold_core::store::StoreError;

/// One reply, of one or more lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The three digits (RFC 5321 4.2).
    pub code: u16,
    /// The enhanced status code, such as `5.1.1` (RFC 2034, RFC 3463); empty where there is none.
    pub status: &'static str,
    /// The text, one entry a line, without line ends.
    pub lines: Vec<Cow<'static, str>>,
}

impl Reply {
    /// A reply of one line.
    pub fn new(code: u16, status: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status, lines: vec![text.into()] }
    }

    /// A reply of several lines without enhanced status, as EHLO and HELP give.
    pub fn listing(code: u16, lines: Vec<Cow<'static, str>>) -> Self {
        Self { code, status: "", lines }
    }

    /// True for 2xx and 3xx.
    pub fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }

    /// Appends the reply in wire form (RFC 5321 4.2.1).
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
    }

    /// 421: the server closes the connection.
    pub fn closing(status: &'static str, text: &'static str) -> Self {
        Self::new(421, status, text)
    }

    /// 503: a command in the wrong state.
    pub fn out_of_order(text: &'static str) -> Self {
        Self::new(503, "5.5.1", text)
    }

    /// The store has no room (RFC 5321 4.2.3): the sender tries again later.
    pub fn storage_full() -> Self {
        Self::new(452, "4.3.1", "insufficient storage, try again later")
    }

    /// The store failed: the sender tries again later.
    pub fn unavailable() -> Self {
        Self::new(451, "4.3.0", "internal error, try again later")
    }

    /// The message is over the size limit (RFC 1870 6.1).
    pub fn too_large(len_max: u64) -> Self {
        Self::new(552, "5.3.4", format!("the message is larger than {len_max} bytes"))
    }
}

/// The reply for a store error. The cause is only logged: it is not the sender's business.
impl From<StoreError> for Reply {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => {
                tracing::warn!("a message was refused: the disk is full");
                Self::storage_full()
            }
            StoreError::TooLarge { what: "blob", len_max, .. } => Self::too_large(len_max as u64),
            error => {
                tracing::error!(%error, "a message was refused");
                Self::unavailable()
            }
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.lines.len().saturating_sub(1);
        for (number, line) in self.lines.iter().enumerate() {
            let mark = if number == last { ' ' } else { '-' };
            let gap = if self.status.is_empty() { "" } else { " " };
            write!(f, "{}{mark}{}{gap}{line}\r\n", self.code, self.status)?;
        }
        Ok(())
    }
}
