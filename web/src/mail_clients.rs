//! Where mail programs find this node: told by the process, which opens those ports; the site only
//! says it to the owner.

use freehold_core::profile::Profile;

/// Where mail programs find this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailEndpoints {
    /// The node's name among mail servers, if the configuration gives one; else it is the owner's
    /// domain.
    pub host: Option<String>,
    /// The port of IMAP with TLS from the first byte.
    pub imaps: u16,
    /// The port of submission with TLS from the first byte.
    pub smtps: u16,
    /// Whether both listen on this machine alone.
    pub is_here_only: bool,
}

impl MailEndpoints {
    /// The name a program is given.
    pub(crate) fn host(&self, owner: &Profile) -> String {
        if self.is_here_only {
            return "localhost".to_owned();
        }
        self.host.clone().unwrap_or_else(|| owner.domain.clone())
    }
}
