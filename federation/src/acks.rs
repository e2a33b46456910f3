//! Delivery to one friend: acknowledgements, which count by log, translated to the numbering of
//! core's outbox.

use std::collections::BTreeMap;

use freehold_core::blocking::try_blocking;
use freehold_core::identity::PersonId;
use freehold_core::node::Node;
use freehold_core::outbox;
use freehold_core::store::StoreError;

use crate::wire::feed::log_to_wire;
use crate::wire::sync::Log;

/// Outbox records read at once.
const RECORDS_MAX: usize = 256;

/// The acknowledgements of one friend's node on one stream.
#[derive(Clone, Debug)]
pub(crate) struct AckTracker {
    friend: PersonId,
    /// The last acknowledged entry of each log.
    acknowledged: BTreeMap<Log, u64>,
}

impl AckTracker {
    pub(crate) fn new(friend: PersonId) -> Self {
        Self { friend, acknowledged: BTreeMap::new() }
    }

    /// The friend.
    #[cfg(test)]
    pub(crate) fn friend(&self) -> PersonId {
        self.friend
    }

    /// Notes that the friend's node holds `log` up to `through`.
    pub(crate) fn note(&mut self, log: Log, through: u64) {
        let before = self.acknowledged.entry(log).or_insert(through);
        *before = through.max(*before);
    }

    /// Stores the friend's outbox cursor if it has advanced.
    pub(crate) async fn store_cursor(&self, node: &Node) -> Result<(), StoreError> {
        let (tracker, read_node) = (self.clone(), node.clone());
        match try_blocking(move || tracker.advanced_cursor(&read_node)).await? {
            Some(cursor) => outbox::set_cursor(node, &self.friend, cursor).await,
            None => Ok(()),
        }
    }

    /// The last outbox record that is acknowledged together with all before it; `None` if that is
    /// the stored cursor.
    fn advanced_cursor(&self, node: &Node) -> Result<Option<u64>, StoreError> {
        let stored = outbox::cursor(node, &self.friend)?;
        let mut cursor = stored;
        'outbox: loop {
            let records = outbox::read(node, cursor, RECORDS_MAX)?;
            if records.is_empty() {
                break;
            }
            for (number, record) in records {
                let acknowledged = self.acknowledged.get(&log_to_wire(&record.log));
                if acknowledged.is_none_or(|through| *through < record.seq) {
                    break 'outbox;
                }
                cursor = number;
            }
        }
        Ok((cursor > stored).then_some(cursor))
    }
}
