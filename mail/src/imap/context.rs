//! The node and the output, as the commands that read or change the mailbox use them.

use std::sync::Arc;

use freehold_core::node::Node;
use tokio::sync::Semaphore;

use super::command::sort::known_keys::SortCache;
use super::deflate::COMPRESSED_CONNECTIONS_MAX;
use super::enabled::Enabled;
use super::structure_cache::StructureCache;
use freehold_mime::imap::Printer;

/// Shared by all sessions.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The largest message that APPEND takes, in bytes.
    pub(crate) message_len_max: u64,
    /// One permit for each connection that may be compressed.
    pub(crate) compressions: Arc<Semaphore>,
    /// Headers and structures of recently fetched messages.
    pub(crate) structure_cache: StructureCache,
    /// Sort keys of recently sorted folders.
    pub(crate) sort_cache: SortCache,
}

impl Shared {
    /// Nothing is cached or compressed yet.
    pub(crate) fn new(message_len_max: u64) -> Self {
        Self {
            message_len_max,
            compressions: Arc::new(Semaphore::new(COMPRESSED_CONNECTIONS_MAX)),
            structure_cache: StructureCache::default(),
            sort_cache: SortCache::default(),
        }
    }
}

/// See the module's text.
pub(crate) struct Context {
    pub(crate) node: Node,
    pub(crate) shared: Arc<Shared>,
    /// Responses to be sent.
    pub(crate) out: Printer,
    /// The extensions that the client has enabled.
    pub(crate) enabled: Enabled,
}

impl Context {
    /// Enables extensions too.
    pub(crate) fn enable(&mut self, more: Enabled) {
        self.enabled = self.enabled.with(more);
        self.out.set_utf8(self.enabled.takes_utf8());
    }
}
