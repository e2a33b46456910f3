//! The extensions that a client has enabled (RFC 5161). Some change the meaning of commands, so the
//! session knows them as well as the commands that run.

/// See the module's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Enabled {
    /// The client wants the modseq with every change (RFC 7162 3.1).
    pub(crate) condstore: bool,
    /// VANISHED in the place of EXPUNGE (RFC 7162 3.2).
    pub(crate) qresync: bool,
    /// RFC 9051.
    pub(crate) rev2: bool,
    /// UTF8=ACCEPT (RFC 6855).
    pub(crate) utf8: bool,
}

impl Enabled {
    /// True if names of folders and quoted strings are UTF-8 (RFC 6855 3, RFC 9051 5.1).
    pub(crate) fn takes_utf8(self) -> bool {
        self.rev2 || self.utf8
    }

    /// These and `other`.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            condstore: self.condstore || other.condstore,
            qresync: self.qresync || other.qresync,
            rev2: self.rev2 || other.rev2,
            utf8: self.utf8 || other.utf8,
        }
    }
}
