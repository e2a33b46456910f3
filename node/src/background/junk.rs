//! Learning about junk, in the background.

use std::time::Duration;

use freehold_core::events::Event;
use freehold_core::mailbox;
use freehold_core::node::Node;
use tokio::sync::broadcast::error::RecvError;

use super::{FailureLog, RUN_EVERY};

/// The pause between two lessons of the junk filter.
const LEARN_PAUSE: Duration = Duration::from_millis(5);

/// Teaches the junk filter the messages that the owner moved.
pub(super) async fn learn(node: &Node) {
    let (mut events, mut failures) = (node.events.subscribe(), FailureLog::default());
    loop {
        match failures.record(node, "learning about junk", mailbox::learn_next(node).await) {
            // The next one: nobody waits for it, and others wait for the store.
            Some(true) => tokio::time::sleep(LEARN_PAUSE).await,
            Some(false) => {
                let moved = async {
                    let is_moved =
                        |event| matches!(event, Ok(Event::Mailbox(_)) | Err(RecvError::Lagged(_)));
                    while !is_moved(events.recv().await) {}
                };
                let _ = tokio::time::timeout(RUN_EVERY, moved).await;
            }
            None => tokio::time::sleep(RUN_EVERY).await,
        }
    }
}
