//! The schedule of the feed's own work: jobs, and entries that something happens to at a certain
//! time. Each step is a commit of its own.

use super::apply;
use crate::feed;
use crate::feed::change::Change;
use crate::feed::steps;
use crate::identity;
use crate::node::Node;
use crate::store::{StoreError, Tx};

type Step = fn(&mut Tx<'_>, &Node, &mut Vec<Change>) -> Result<bool, StoreError>;
type Skip = fn(&mut Tx<'_>) -> Result<(), StoreError>;

/// Finishes the jobs that were begun and handles every entry that is due by now. Returns in how
/// many steps. May be stopped at any moment and run again.
///
/// # Errors
/// When the store takes no changes.
pub async fn run_due(node: &Node) -> Result<usize, StoreError> {
    identity::apply_due_recoveries(node, |tx, log| feed::follow_log(tx, None, log)).await?;
    let jobs = repeat(node, steps::job, steps::skip_job).await?;
    Ok(jobs + repeat(node, steps::due, steps::skip_due).await?)
}

/// Repeats a step, each in its own commit, until there is nothing left to do. A step that cannot be
/// done is skipped.
async fn repeat(node: &Node, step: Step, skip: Skip) -> Result<usize, StoreError> {
    let mut count = 0;
    loop {
        let inside = node.clone();
        let one = move |tx: &mut Tx<'_>| {
            let mut changes = Vec::new();
            let any = step(tx, &inside, &mut changes)?;
            apply(tx, &inside, changes)?;
            Ok(any)
        };
        match node.store.commit(one).await {
            Ok(false) => return Ok(count),
            Ok(true) => count += 1,
            Err(error @ (StoreError::TooLarge { .. } | StoreError::Corrupt { .. })) => {
                tracing::error!(%error, "an entry could not be handled and is left as it is");
                node.store.commit(skip).await?;
            }
            Err(error) => return Err(error),
        }
    }
}
