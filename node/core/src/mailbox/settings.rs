//! The owner's settings of the mailbox.

use minicbor::{Decode, Encode};

use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{StoreError, Table, Tx};

/// The longest time for which the bin can keep messages, in days.
pub const BIN_DAYS_MAX: u16 = 3650;

#[derive(Default, Encode, Decode)]
#[cbor(map)]
struct SettingsRow {
    /// After so many days messages in bin and junk are deleted for good; `None` means never.
    #[n(0)]
    bin_days: Option<u16>,
    /// Whether folders are listed message by message, not by threads.
    #[n(1)]
    #[cbor(default)]
    lists_messages: bool,
    /// Whether single keys do nothing in the web's mailbox.
    #[n(2)]
    #[cbor(default)]
    ignores_keys: bool,
}

impl Record for SettingsRow {
    const TABLE: Table = Table::new("mailbox_settings");
    const VERSION: u8 = 1;
}

const OWN: &[u8] = b"own";

fn load(node: &Node) -> Result<SettingsRow, StoreError> {
    Ok(row::get::<SettingsRow>(&node.store, OWN)?.unwrap_or_default())
}

async fn change(
    node: &Node,
    change: impl FnOnce(&mut SettingsRow) + Send + 'static,
) -> Result<(), StoreError> {
    let work = move |tx: &mut Tx<'_>| {
        let mut settings = row::get::<SettingsRow>(tx, OWN)?.unwrap_or_default();
        change(&mut settings);
        row::put(tx, OWN, &settings)
    };
    node.store.commit(work).await
}

/// After how many days messages in bin and junk are deleted for good; `None` means never.
///
/// # Errors
/// When the store is unavailable.
pub fn bin_days(node: &Node) -> Result<Option<u16>, StoreError> {
    Ok(load(node)?.bin_days)
}

/// Sets [`bin_days`], to at least 1 and at most [`BIN_DAYS_MAX`].
///
/// # Errors
/// When the store refuses.
pub async fn set_bin_days(node: &Node, days: Option<u16>) -> Result<(), StoreError> {
    let days = days.map(|days| days.clamp(1, BIN_DAYS_MAX));
    change(node, move |settings| settings.bin_days = days).await
}

/// Whether the web lists folders by threads; else each message for itself.
///
/// # Errors
/// When the store is unavailable.
pub fn lists_threads(node: &Node) -> Result<bool, StoreError> {
    Ok(!load(node)?.lists_messages)
}

/// Sets [`lists_threads`].
///
/// # Errors
/// When the store refuses.
pub async fn set_lists_threads(node: &Node, lists_threads: bool) -> Result<(), StoreError> {
    change(node, move |settings| settings.lists_messages = !lists_threads).await
}

/// Whether single keys act in the web's mailbox (WCAG 2.1.4).
///
/// # Errors
/// When the store is unavailable.
pub fn heeds_keys(node: &Node) -> Result<bool, StoreError> {
    Ok(!load(node)?.ignores_keys)
}

/// Sets [`heeds_keys`].
///
/// # Errors
/// When the store refuses.
pub async fn set_heeds_keys(node: &Node, heeds_keys: bool) -> Result<(), StoreError> {
    change(node, move |settings| settings.ignores_keys = !heeds_keys).await
}
