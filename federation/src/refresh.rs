//! What follows when friends or identity logs have changed: who is called, trusted and blocked, and
//! what friends are told of where this node is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use freehold_core::feed;
use freehold_core::feed::HOMES_MAX;
use freehold_core::friends::{self, FriendState};
use freehold_core::identity::{self, PersonId};
use freehold_core::keys::PublicKey;
use freehold_core::node::Node;
use freehold_core::profile;
use freehold_core::publish;
use freehold_core::publish::HomesError;
use freehold_core::store::StoreError;
use tokio::sync::{Notify, watch};

use crate::aside;
use crate::network::PeerKey;
use crate::peers::Shared;

/// Bytes in the address of a site.
const WEB_LEN_MAX: usize = 200;

/// Who is to be connected, with their addresses, and who is refused at the door.
#[derive(Default)]
pub(crate) struct Callees {
    pub(crate) wanted: HashMap<PeerKey, Vec<String>>,
    blocked: HashSet<PeerKey>,
}

/// What [`run`] is rung for.
#[derive(Default)]
pub(crate) struct Bells {
    /// Friends or identity logs may have changed.
    pub(crate) friends: Notify,
    /// So may where this node is.
    pub(crate) homes: Notify,
}

/// Looks anew whenever it is rung, until the node stops; tells `learnt` whom to call. Each look
/// verifies every friend's log, so however often it is rung while it looks, it looks once more.
pub(crate) async fn run(shared: Arc<Shared>, learnt: watch::Sender<HashMap<PeerKey, Vec<String>>>) {
    let (shared, learnt) = (&shared, &learnt);
    let friends = whenever(&shared.bells.friends, || refresh(shared, learnt));
    let homes = whenever(&shared.bells.homes, || tell_homes(shared));
    tokio::join!(friends, homes);
}

/// Works once for however many rings there were since it last began.
async fn whenever<F: Future<Output = ()>>(rung: &Notify, work: impl Fn() -> F) {
    loop {
        rung.notified().await;
        work().await;
    }
}

/// Friends may have changed: who is trusted, blocked and called follows the rows.
pub(crate) async fn refresh(
    shared: &Shared,
    learnt: &watch::Sender<HashMap<PeerKey, Vec<String>>>,
) {
    let node = shared.node.clone();
    let Callees { wanted, blocked } = match aside::blocking(move || callees(&node)).await {
        Ok(Ok(callees)) => callees,
        Ok(Err(error)) => {
            tracing::warn!(%error, "cannot read the friends");
            return;
        }
        // The node stops.
        Err(_) => return,
    };
    let expected: HashSet<PeerKey> = wanted.keys().copied().collect();
    learnt.send_replace(wanted);
    shared.expected.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&expected);
    shared.network.trust(expected);
    for key in &blocked {
        shared.network.hangup(*key);
    }
    shared.network.block(blocked);
    for peer in shared.connected() {
        peer.renew(shared).await;
    }
    shared.bells.homes.notify_one();
}

pub(crate) fn callees(node: &Node) -> Result<Callees, StoreError> {
    let mut callees = Callees::default();
    for farewell in friends::unfollow_notices(node)? {
        for key in nodes_of(node, &farewell.person, &farewell.node) {
            callees.wanted.insert(key, farewell.addresses.clone());
        }
    }
    for friend in friends::list(node)? {
        let nodes = nodes_of(node, &friend.person, &friend.node);
        match friend.state {
            FriendState::Friend | FriendState::Requested => {
                let mut addresses = feed::homes_of(node, &friend.person)
                    .ok()
                    .flatten()
                    .map(|homes| homes.libp2p)
                    .unwrap_or_default();
                addresses.extend(friend.addresses);
                addresses.dedup();
                callees.wanted.extend(nodes.into_iter().map(|key| (key, addresses.clone())));
            }
            FriendState::Blocked => {
                callees.blocked.insert(PeerKey(*friend.node.as_bytes()));
                callees.blocked.extend(nodes);
            }
            FriendState::Refused | FriendState::Left => {}
        }
    }
    Ok(callees)
}

/// A person's nodes: those that the log held here certifies, for another key may have been stolen;
/// the one they were met with where no log is held.
fn nodes_of(node: &Node, person: &PersonId, met: &PublicKey) -> Vec<PeerKey> {
    let key = |node: &PublicKey| PeerKey(*node.as_bytes());
    match identity::log_of(node, person) {
        Ok(Some(log)) => log.live_nodes().map(key).collect(),
        Ok(None) => vec![key(met)],
        Err(error) => {
            tracing::warn!(person = %person.short(), %error, "cannot read an identity log");
            Vec::new()
        }
    }
}

async fn tell_homes(shared: &Shared) {
    if let Err(error) = announce(shared).await {
        tracing::warn!(%error, "cannot say where this node is reached");
    }
}

/// Tells friends where this node is reached, if that has changed.
async fn announce(shared: &Shared) -> Result<(), HomesError> {
    let Some(person) = shared.node.identity.person() else { return Ok(()) };
    let mirrors =
        feed::homes_of(&shared.node, &person)?.map(|homes| homes.mirrors).unwrap_or_default();
    let libp2p: Vec<String> = shared.network.addresses().into_iter().take(HOMES_MAX).collect();
    let web: Vec<String> = web_address(shared)?.into_iter().collect();
    publish::homes(&shared.node, web, libp2p, mirrors).await.map(|_| ())
}

/// Where the owner's site is: what the process was told, else, with an owner, what it answers to on
/// this machine.
fn web_address(shared: &Shared) -> Result<Option<String>, StoreError> {
    let owner = profile::get(&shared.node)?;
    Ok(shared
        .web
        .as_ref()
        .and_then(|web| web.of(owner.as_ref()))
        .filter(|url| url.len() <= WEB_LEN_MAX))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_flood_of_hints_costs_one_look_more() {
        let (bell, looks, gate) = (Notify::new(), Cell::new(0), Semaphore::new(0));
        let work = || async {
            looks.set(looks.get() + 1);
            gate.acquire().await.unwrap().forget();
        };
        let flood = async {
            // How often it is rung while a look is under way, and how many looks have begun after
            // that has ended.
            for (rings, expected) in [(500, 1), (500, 2), (1, 3), (0, 3)] {
                (0..rings).for_each(|_| bell.notify_one());
                gate.add_permits(looks.get().min(1));
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(looks.get(), expected);
            }
        };
        tokio::select! {
            () = whenever(&bell, work) => {}
            () = flood => {}
        }
    }
}
