//! `freehold import imap`: mail from an account at another provider.

use anyhow::Result;
use freehold_core::node::{ImapSecurity, ImapSource};
use freehold_mail::imap_import::{self, ImportEnd};
use serde::{Deserialize, Serialize};

use super::execute::{ControlContext, invalid};
use super::mail_files::{failed, paced, response};
use super::{OnProgress, Response};

/// An account whose mail is wanted.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct NewImapImport {
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) folders: Vec<String>,
    pub(crate) starttls: bool,
    pub(crate) plain: bool,
    pub(crate) restores: bool,
}

impl std::fmt::Debug for NewImapImport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewImapImport({:?}, {})", self.user, self.host)
    }
}

/// Imports what is new in the account. Dropping the future stops the import.
pub(super) async fn import(
    context: &ControlContext,
    wanted: NewImapImport,
    on_progress: OnProgress,
) -> Result<Response> {
    let security = match (wanted.starttls, wanted.plain) {
        (true, _) => ImapSecurity::StartTls,
        (false, true) => ImapSecurity::PlainOnLoopback,
        (false, false) => ImapSecurity::Tls,
    };
    let NewImapImport { host, port, user, password, folders, restores, .. } = wanted;
    let source = ImapSource::new(&host, port, security, &user, &password).map_err(invalid)?;
    let source = ImapSource { folders, restores, ..source };
    let paced = paced(on_progress);
    let on_read = Box::new(move |done, total| paced("Messages read", done, total));
    let (node, roots) = (context.node.clone(), &context.mail.trusted_roots);
    let import = imap_import::import(node, source, roots, on_read, std::future::pending());
    let ImportEnd { report, error } = Box::pin(import).await;
    match error {
        Some(error) => Err(failed(error.after(report.outcome.stored))),
        None => Ok(response(&report)),
    }
}
