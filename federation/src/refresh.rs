//! Derived state, recomputed after a change of friends or identity logs: the nodes to dial, those
//! exempt from limits, those blocked, and the addresses that friends get.

use std::collections::HashSet;
use std::sync::Arc;

use freehold_core::blocking::blocking;
use freehold_core::feed;
use freehold_core::feed::HOMES_MAX;
use freehold_core::friends::{self, FriendState};
use freehold_core::identity::{self, PersonId};
use freehold_core::keys::PublicKey;
use freehold_core::node::Node;
use freehold_core::notices;
use freehold_core::profile;
use freehold_core::publish;
use freehold_core::publish::HomesError;
use freehold_core::store::StoreError;
use tokio::sync::{Notify, watch};

use crate::dial::DialTargets;
use crate::network::PeerKey;
use crate::state::FederationState;

/// Bytes in the address of a site.
const WEB_LEN_MAX: usize = 200;

/// The nodes that this node dials, and those it blocks.
#[derive(Default)]
pub(crate) struct FriendNodes {
    pub(crate) targets: DialTargets,
    blocked: HashSet<PeerKey>,
}

/// Refreshes after each signal until the node stops; sends the nodes to dial to `targets`. One
/// refresh verifies every friend's log, so any number of signals during a refresh cause one more.
pub(crate) async fn run(state: Arc<FederationState>, targets: watch::Sender<DialTargets>) {
    let (state, targets) = (&state, &targets);
    let friends = on_signal(&state.refresh.friends, || refresh_friends(state, targets));
    let homes = on_signal(&state.refresh.homes, || refresh_homes(state));
    tokio::join!(friends, homes);
}

/// Runs `work` once for all signals since it last began.
async fn on_signal<F: Future<Output = ()>>(signal: &Notify, work: impl Fn() -> F) {
    loop {
        signal.notified().await;
        work().await;
    }
}

/// Applies the stored friends to the dialer, the network's limits and block list, and the connected
/// peers.
pub(crate) async fn refresh_friends(state: &FederationState, targets: &watch::Sender<DialTargets>) {
    let node = state.node.clone();
    let nodes = match blocking(move || friend_nodes(&node)).await {
        Ok(Ok(nodes)) => nodes,
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot read the friends");
            return;
        }
        // The node stops.
        Err(_) => return,
    };
    let expected: HashSet<PeerKey> = nodes.targets.keys().copied().collect();
    targets.send_replace(nodes.targets);
    state.peers.expect(expected.clone());
    let connected = state.peers.connected().into_iter();
    let invited = connected.filter(|peer| peer.invited.is_cancelled()).map(|peer| peer.key);
    state.network.trust(expected.into_iter().chain(invited).collect());
    for key in &nodes.blocked {
        state.network.disconnect(*key);
    }
    state.network.block(nodes.blocked);
    for peer in state.peers.connected() {
        peer.reread_identity(&state.node).await;
    }
    state.refresh.homes.notify_one();
}

pub(crate) fn friend_nodes(node: &Node) -> Result<FriendNodes, StoreError> {
    let mut nodes = FriendNodes::default();
    for notice in friends::unfollow_notices(node)? {
        for key in nodes_of(node, &notice.person, &notice.node) {
            nodes.targets.insert(key, notice.addresses.clone());
        }
    }
    for friend in friends::list(node)? {
        let keys = nodes_of(node, &friend.person, &friend.node);
        match friend.state {
            FriendState::Friend | FriendState::Requested => {
                let addresses = notices::addresses_of(node, &friend);
                nodes.targets.extend(keys.into_iter().map(|key| (key, addresses.clone())));
            }
            FriendState::Blocked => {
                nodes.blocked.insert(PeerKey(*friend.node.as_bytes()));
                nodes.blocked.extend(keys);
            }
            FriendState::Refused | FriendState::Left => {}
        }
    }
    Ok(nodes)
}

/// The node keys of a person: those that the stored log certifies, because any other key may have
/// been stolen; `introduced`, the key of their invite or request, if no log is stored.
fn nodes_of(node: &Node, person: &PersonId, introduced: &PublicKey) -> Vec<PeerKey> {
    let key = |node: &PublicKey| PeerKey(*node.as_bytes());
    match identity::log_of(node, person) {
        Ok(Some(log)) => log.live_nodes().map(key).collect(),
        Ok(None) => vec![key(introduced)],
        Err(error) => {
            tracing::warn!(person = %person.short(), %error, "cannot read an identity log");
            Vec::new()
        }
    }
}

async fn refresh_homes(state: &FederationState) {
    if let Err(error) = publish_homes(state).await {
        tracing::warn!(%error, "cannot publish this node's addresses to friends");
    }
}

/// Publishes the addresses of this node and of the owner's site, if they have changed.
async fn publish_homes(state: &FederationState) -> Result<(), HomesError> {
    let Some(person) = state.node.identity.person() else { return Ok(()) };
    let mirrors =
        feed::homes_of(&state.node, &person)?.map(|homes| homes.mirrors).unwrap_or_default();
    let libp2p: Vec<String> = state.network.addresses().into_iter().take(HOMES_MAX).collect();
    let web: Vec<String> = web_address(state)?.into_iter().collect();
    publish::homes(&state.node, web, libp2p, mirrors).await.map(|_| ())
}

/// The address of the owner's site, if the configuration gives one.
fn web_address(state: &FederationState) -> Result<Option<String>, StoreError> {
    let owner = profile::get(&state.node)?;
    Ok(state
        .config
        .web
        .as_ref()
        .and_then(|web| web.url(owner.as_ref()))
        .filter(|url| url.len() <= WEB_LEN_MAX))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn signals_during_a_refresh_cause_one_more() {
        let (signal, refreshes, gate) = (Notify::new(), Cell::new(0), Semaphore::new(0));
        let refresh = || async {
            refreshes.set(refreshes.get() + 1);
            gate.acquire().await.unwrap().forget();
        };
        let flood = async {
            // The signals sent while a refresh runs, and the refreshes that have begun once that
            // one has ended.
            for (signals, expected) in [(500, 1), (500, 2), (1, 3), (0, 3)] {
                (0..signals).for_each(|_| signal.notify_one());
                gate.add_permits(refreshes.get().min(1));
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(refreshes.get(), expected);
            }
        };
        tokio::select! {
            () = on_signal(&signal, refresh) => {}
            () = flood => {}
        }
    }
}
