//! Bringing messages into the index of texts, in the background.

use std::time::Duration;

use freehold_core::events::Event;
use freehold_core::mailbox::TextIndexer;
use freehold_core::node::Node;
use tokio::sync::broadcast::error::RecvError;

use super::{FailureLog, RUN_EVERY};

/// The pause before new messages are read, so that those that come together are read together.
const GATHER: Duration = Duration::from_secs(1);
/// The pause between two steps: nobody waits for them, and others wait for the store.
const STEP_PAUSE: Duration = Duration::from_millis(4);

/// Indexes what is delivered, imported and moved, and removes what was expunged.
pub(super) async fn index(node: &Node) {
    let (mut events, mut failures) = (node.events.subscribe(), FailureLog::default());
    let mut indexer = TextIndexer::default();
    loop {
        match failures.record(node, "indexing texts", indexer.step(node).await) {
            Some(true) => tokio::time::sleep(STEP_PAUSE).await,
            Some(false) => {
                let changed = async {
                    let is_mail =
                        |event| matches!(event, Ok(Event::Mailbox(_)) | Err(RecvError::Lagged(_)));
                    while !is_mail(events.recv().await) {}
                };
                if tokio::time::timeout(RUN_EVERY, changed).await.is_ok() {
                    tokio::time::sleep(GATHER).await;
                }
            }
            None => tokio::time::sleep(RUN_EVERY).await,
        }
    }
}
