//! The page of a list from which a message was opened, so that its page leads back there.

use serde::Deserialize;

/// A page of a folder's list; as a query or a form, the field `before`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct ListPlace {
    /// The UID before which the page begins; `None` for the first one.
    pub(super) before: Option<u32>,
}

impl ListPlace {
    /// The query of an address, empty for the first page.
    pub(super) fn query(self) -> String {
        self.before.map(|before| format!("?before={before}")).unwrap_or_default()
    }

    /// The address of the page.
    pub(super) fn list(self, folder: u32) -> String {
        format!("/home/mail/{folder}{}", self.query())
    }
}

/// An address with one more field in its query.
pub(super) fn with_field(address: &str, field: &str) -> String {
    let mark = if address.contains('?') { '&' } else { '?' };
    format!("{address}{mark}{field}")
}
