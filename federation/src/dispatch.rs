//! The main loop: takes network events and core's events, and starts one task per connection and
//! one per incoming stream.

use std::sync::Arc;
use std::time::Duration;

use freehold_core::clock::Timestamp;
use freehold_core::events::Event;
use freehold_core::hlc::AHEAD_MAX_MS;
use freehold_core::identity::PersonId;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::dial::{DialTargets, Dialer};
use crate::network::NetworkEvent;
use crate::peers::Peer;
use crate::state::FederationState;
use crate::{hello, maintain, refresh, serve};

/// Interval between two checks for expired partial blobs.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A step of the machine's clock that is sent to friends, in milliseconds: half of what they
/// accept as the future.
const CLOCK_STEP_MS: u64 = AHEAD_MAX_MS / 2;

/// Handles events until the node stops.
pub(crate) async fn run(state: Arc<FederationState>, mut network: mpsc::Receiver<NetworkEvent>) {
    let mut events = state.node.events.subscribe();
    let mut dialer = Dialer::new(state.config.is_local(), state.node.random.u64());
    let (targets_sender, mut targets) = watch::channel(DialTargets::new());
    refresh::refresh_friends(&state, &targets_sender).await;
    state.run.spawn_until_stop(refresh::run(Arc::clone(&state), targets_sender));
    let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
    let mut announced = Announced::now(&state);
    loop {
        tokio::select! {
            () = state.run.stop.cancelled() => return,
            event = network.recv() => match event {
                Some(event) => on_network_event(&state, &mut dialer, event),
                None => return,
            },
            event = events.recv() => match event {
                Ok(event) => {
                    if event == Event::Identity && announced.head_may_have_changed(&state) {
                        dialer.dial_all(Instant::now());
                    }
                    on_core_event(&state, event);
                }
                Err(RecvError::Lagged(_)) => {
                    if announced.head_may_have_changed(&state) {
                        dialer.dial_all(Instant::now());
                    }
                    state.refresh.friends.notify_one();
                    state.peers.notify_blobs_wanted(None);
                    state.peers.notify_bodies_missing(None);
                }
                Err(RecvError::Closed) => return,
            },
            Ok(()) = targets.changed() => {
                let targets = targets.borrow_and_update().clone();
                let connected = state.peers.connected().iter().map(|peer| peer.key).collect();
                dialer.set_targets(targets, &connected, Instant::now());
            }
            _ = sweep.tick() => {
                state.partial_blobs.drop_expired(state.node.clock.now());
                announced.clock_may_have_changed(&state);
            }
            () = sleep_until(dialer.next_dial()) => {
                for (key, addresses) in dialer.due(Instant::now()) {
                    state.network.dial(key, addresses);
                }
            }
        }
    }
}

/// The state of this node in the last hellos. Friends stay connected for days, so a change of the
/// owner's identity log is sent to them at once, and so is a step of this machine's clock.
struct Announced {
    head: Option<[u8; 32]>,
    clock: Timestamp,
    at: Instant,
}

impl Announced {
    fn now(state: &FederationState) -> Self {
        Self { head: own_head(state), clock: state.node.clock.now(), at: Instant::now() }
    }

    /// Says hello again if the owner's log has changed; then it is true.
    fn head_may_have_changed(&mut self, state: &Arc<FederationState>) -> bool {
        let has_changed = self.head != own_head(state);
        if has_changed {
            *self = Self::now(state);
            say_hello_again(state);
        }
        has_changed
    }

    fn clock_may_have_changed(&mut self, state: &Arc<FederationState>) {
        let elapsed = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let expected = self.clock.plus_millis(elapsed);
        if expected.0.abs_diff(state.node.clock.now().0) > CLOCK_STEP_MS {
            *self = Self::now(state);
            say_hello_again(state);
        }
    }
}

fn own_head(state: &FederationState) -> Option<[u8; 32]> {
    state.node.identity.log().map(|log| log.head().0)
}

/// Says hello to every connected friend, each in a task of its own.
fn say_hello_again(state: &Arc<FederationState>) {
    for peer in state.peers.connected().into_iter().filter(|peer| state.peers.is_expected(peer)) {
        state.run.tasks.spawn(send_hello(Arc::clone(state), peer));
    }
}

fn on_core_event(state: &FederationState, event: Event) {
    match event {
        Event::Friends | Event::Identity => state.refresh.friends.notify_one(),
        // The owner may have a name now, and with it the address of a site.
        Event::Public => state.refresh.homes.notify_one(),
        Event::Wanted(friend) => state.peers.notify_blobs_wanted(Some(friend)),
        Event::Missing(author) => {
            state.peers.notify_bodies_missing(nodes_with_bodies_of(state, author));
        }
        _ => {}
    }
}

/// The person whose nodes may have an author's bodies: the author, or every friend (`None`) for the
/// owner's own.
fn nodes_with_bodies_of(state: &FederationState, author: PersonId) -> Option<PersonId> {
    Some(author).filter(|author| state.node.identity.person() != Some(*author))
}

fn on_network_event(state: &Arc<FederationState>, dialer: &mut Dialer, event: NetworkEvent) {
    let now = Instant::now();
    match event {
        NetworkEvent::Connected { peer: key, dialed } => {
            dialer.connected(key);
            let (peer, is_new) = state.peers.get_or_add(key, state.node.clock.now());
            if is_new {
                state.run.tasks.spawn(run_connection(Arc::clone(state), peer, dialed));
            } else if dialed {
                // An incoming stream was reported first and has started the task; only the hello
                // is still to be sent.
                state.run.tasks.spawn(send_hello(Arc::clone(state), peer));
            }
        }
        NetworkEvent::Disconnected(key) => {
            state.peers.remove(key);
            dialer.disconnected(key, now);
        }
        NetworkEvent::DialFailed(key) => dialer.failed(key, now),
        NetworkEvent::Incoming(key, protocol, stream) => {
            // A stream may be reported before its connection is.
            let (peer, is_new) = state.peers.get_or_add(key, state.node.clock.now());
            if is_new {
                state.run.tasks.spawn(run_connection(Arc::clone(state), Arc::clone(&peer), false));
            }
            let task_state = Arc::clone(state);
            state.run.tasks.spawn(async move {
                let disconnected = peer.disconnected.clone();
                let serving = serve::serve(&task_state, &peer, protocol, stream);
                if let Some(Err(error)) = disconnected.run_until_cancelled(serving).await {
                    tracing::debug!(peer = %peer.key, protocol, %error, "a stream ended early");
                }
            });
        }
    }
}

/// Exchanges hellos with a peer, then does what its relation calls for until it disconnects. The
/// dialing side sends its hello first.
async fn run_connection(state: Arc<FederationState>, peer: Arc<Peer>, dialed: bool) {
    let disconnected = peer.disconnected.clone();
    let connection = async {
        if dialed {
            send_hello(Arc::clone(&state), Arc::clone(&peer)).await;
        }
        match peer.identified().await {
            Some(identity) => {
                let person = identity.person.map(|person| person.short());
                tracing::info!(
                    peer = %peer.key, person, relation = ?identity.relation, "peer identified"
                );
                maintain::maintain(&state, &peer).await;
            }
            None => {
                state.network.disconnect(peer.key);
                state.peers.remove(peer.key);
            }
        }
    };
    disconnected.run_until_cancelled(connection).await;
}

async fn send_hello(state: Arc<FederationState>, peer: Arc<Peer>) {
    let exchange = hello::send(&state, &peer);
    if let Some(Err(error)) = peer.disconnected.run_until_cancelled(exchange).await {
        tracing::debug!(peer = %peer.key, %error, "hello failed");
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
