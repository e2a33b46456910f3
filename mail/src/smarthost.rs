//! Tries the login of a new smarthost at once, so that the owner learns of a mistake before a
//! message waits for it.

use freehold_core::blocking::try_blocking;
use freehold_core::events::Event;
use freehold_core::smarthost::{self, Smarthost};
use tokio::sync::broadcast::error::RecvError;

use crate::queue::next_hop::try_smarthost;
use crate::state::MailState;

/// Tries each smarthost that was not tried yet, until mail stops.
pub(crate) async fn run(state: MailState) {
    let mut events = state.node.events.subscribe();
    loop {
        tokio::select! {
            () = try_untried(&state) => {}
            () = state.drain.stopping() => return,
        }
        let changed = async {
            loop {
                match events.recv().await {
                    Ok(Event::Smarthost) | Err(RecvError::Lagged(_)) => return,
                    Ok(_) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = changed => {}
            () = state.drain.stopping() => return,
        }
    }
}

/// Records whether the smarthost takes messages, if that has changed: a login may be refused later.
pub(crate) async fn record(state: &MailState, fault: Option<String>) {
    let node = state.node.clone();
    let Ok(Some(current)) = try_blocking(move || smarthost::get(&node)).await else { return };
    let failed_before = current.tried.as_ref().is_some_and(|tried| tried.fault.is_some());
    if current.tried.is_none() || failed_before != fault.is_some() {
        record_try(state, current, fault).await;
    }
}

async fn record_try(state: &MailState, tried: Smarthost, fault: Option<String>) {
    if let Err(error) = smarthost::record_try(&state.node, tried, fault).await {
        tracing::warn!(%error, "the outcome of a login at the smarthost could not be recorded");
    }
}

async fn try_untried(state: &MailState) {
    let node = state.node.clone();
    let Ok(Some(untried)) = try_blocking(move || smarthost::get(&node)).await else { return };
    if untried.tried.is_some() {
        return;
    }
    let fault = try_smarthost(state, &untried).await.err();
    record_try(state, untried, fault).await;
}
