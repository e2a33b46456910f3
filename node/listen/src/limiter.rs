//! The connection limiter: how many connections are open, in total and per network, and which one
//! is closed for a newcomer when a limit is reached.
//!
//! A connection of web or mail is either being served or waits for its client: for a request, for
//! more of a body, for a response to be read. Slow clients keep their permits only until another
//! client needs one. The customer (IPv4 address, IPv6 /48) with the most connections loses one
//! first, so a flood from one network closes its own connections and not the owner's.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freehold_proto::ClientNet;
use freehold_proto::clock::Clock;
use tokio::sync::Notify;

/// After so many milliseconds, a connection that has not logged in and has no message under way is
/// closed for a newcomer of its network. A client that logs in by itself does so in one or two
/// round trips; five seconds leave room for a slow line and a TLS handshake. Without this rule a
/// stranger keeps all permits of a shared address (loopback, a proxy) with idle connections.
pub const IDLE_MS_MAX: u64 = 5_000;
/// After so many milliseconds without a byte, a message that is under way counts as stalled, and
/// its connection is closed for a newcomer as an idle one is.
pub const STALL_MS_MAX: u64 = 30_000;

/// A limit that a newcomer meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Of all connections.
    Total,
    /// Of the connections from one network.
    PerNet,
}

/// Counts the open connections. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct ConnectionLimiter {
    open: Arc<Mutex<OpenConnections>>,
    total_max: usize,
    per_net_max: usize,
    clock: Clock,
}

#[derive(Default)]
struct OpenConnections {
    connections: HashMap<u64, Arc<Connection>>,
    by_net: HashMap<ClientNet, usize>,
    next: u64,
}

struct Connection {
    net: ClientNet,
    /// Whether the client has logged in.
    authenticated: AtomicBool,
    /// Whether a request or a message of the client is being handled.
    serving: AtomicBool,
    /// Whether the node waits for the client at this moment.
    waiting: AtomicBool,
    /// When the node first waited since the last request, in milliseconds plus one; 0 if it has
    /// not waited yet. A byte now and then does not make this later.
    waiting_since: AtomicU64,
    /// When the last byte moved, in milliseconds plus one.
    progressed_at: AtomicU64,
    revoked: Notify,
}

/// Which connections of one customer are closed first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    First,
    /// A message is under way.
    Last,
}

impl Connection {
    fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Relaxed)
    }

    fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    fn waiting_since(&self) -> u64 {
        self.waiting_since.load(Ordering::Relaxed)
    }

    fn rank(&self) -> Rank {
        if self.is_serving() { Rank::Last } else { Rank::First }
    }

    /// Whether this connection is closed for a newcomer of the same network.
    fn gives_way(&self, now: u64) -> bool {
        let (since, limit) = if self.is_serving() {
            (self.progressed_at.load(Ordering::Relaxed), STALL_MS_MAX)
        } else {
            (self.waiting_since(), IDLE_MS_MAX)
        };
        !self.is_authenticated() && now.saturating_sub(since) >= limit
    }
}

/// The right to keep one connection open, given back when dropped.
pub struct Permit {
    limiter: ConnectionLimiter,
    connection: Arc<Connection>,
    number: u64,
}

/// A request or message is being handled, until this is dropped.
pub struct Serving(Arc<Permit>);

impl ConnectionLimiter {
    /// Allows `total_max` connections at one time, `per_net_max` of them from one network (an IPv4
    /// address, an IPv6 /64). At least one of each.
    pub fn new(total_max: usize, per_net_max: usize, clock: Clock) -> Self {
        Self {
            open: Arc::default(),
            total_max: total_max.max(1),
            per_net_max: per_net_max.max(1),
            clock,
        }
    }

    /// Admits a connection from `address`, if a limit is reached in place of another that the node
    /// waits for, also of the same network: a browser needs its newest connection most. An address
    /// that `is_shared` by many people, such as a proxy's or this machine's own, is held to the
    /// total alone. `None` when every connection that could be closed is being served.
    pub fn admit_evicting(&self, address: IpAddr, is_shared: bool) -> Option<Permit> {
        let net = ClientNet::from(address);
        let mut open = self.lock();
        let is_net_full = !is_shared && open.count(net) >= self.per_net_max;
        if is_net_full || open.connections.len() >= self.total_max {
            let number = open.first_to_close(|connection, _| {
                let may_close = connection.waiting.load(Ordering::Relaxed)
                    && !connection.is_authenticated()
                    && (!is_net_full || connection.net == net);
                may_close.then_some(Rank::First)
            })?;
            open.revoke(number);
        }
        Some(self.insert(&mut open, net))
    }

    /// Admits a connection from `address`. When its network's share is used up, an unauthenticated
    /// connection of the network that has been idle for [`IDLE_MS_MAX`] is closed; without one the
    /// newcomer is refused (`None`), so that a mail server with too many connections keeps those it
    /// has. When the total is used up, an unauthenticated connection of a customer with more
    /// connections is closed, or an idle one of a customer with as many.
    pub fn admit(&self, address: IpAddr, is_shared: bool) -> Option<Permit> {
        let net = ClientNet::from(address);
        let now = self.now();
        let mut open = self.lock();
        if !is_shared && open.count(net) >= self.per_net_max {
            let number = open.first_to_close(|connection, _| {
                let may_close = connection.net == net && connection.gives_way(now);
                may_close.then(|| connection.rank())
            })?;
            open.revoke(number);
        } else if open.connections.len() >= self.total_max {
            let own = open.by_customer().get(&net.customer()).copied().unwrap_or(0);
            let number = open.first_to_close(|connection, held| {
                let may_close = (held > own && !connection.is_authenticated())
                    || (held == own && connection.gives_way(now));
                may_close.then(|| connection.rank())
            })?;
            open.revoke(number);
        }
        Some(self.insert(&mut open, net))
    }

    /// The limit that a newcomer from `address` meets at this moment, for the log. Another
    /// connection may begin or end before the newcomer is admitted.
    pub(crate) fn reached(&self, address: IpAddr, is_shared: bool) -> Option<Limit> {
        let open = self.lock();
        if !is_shared && open.count(ClientNet::from(address)) >= self.per_net_max {
            return Some(Limit::PerNet);
        }
        (open.connections.len() >= self.total_max).then_some(Limit::Total)
    }

    fn insert(&self, open: &mut OpenConnections, net: ClientNet) -> Permit {
        let now = self.now();
        let connection = Arc::new(Connection {
            net,
            authenticated: AtomicBool::new(false),
            serving: AtomicBool::new(false),
            waiting: AtomicBool::new(true),
            waiting_since: AtomicU64::new(now),
            progressed_at: AtomicU64::new(now),
            revoked: Notify::new(),
        });
        let number = open.next;
        open.next += 1;
        open.connections.insert(number, connection.clone());
        *open.by_net.entry(net).or_default() += 1;
        Permit { limiter: self.clone(), connection, number }
    }

    fn lock(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present moment in milliseconds plus one, so that 0 can mean "never".
    fn now(&self) -> u64 {
        self.clock.now().0.saturating_add(1)
    }
}

impl OpenConnections {
    fn count(&self, net: ClientNet) -> usize {
        self.by_net.get(&net).copied().unwrap_or(0)
    }

    /// How many connections each customer has; one customer may use many networks.
    fn by_customer(&self) -> HashMap<ClientNet, usize> {
        let mut held = HashMap::new();
        for connection in self.connections.values() {
            *held.entry(connection.net.customer()).or_default() += 1;
        }
        held
    }

    /// The connection to close. `rank` receives a connection and the number of its customer's
    /// connections, and returns a rank or `None`; connections without a rank stay open. The rest
    /// are compared by three criteria, in this order: its customer has the most connections, it has
    /// the first rank, it has kept the node waiting longest.
    fn first_to_close(&self, rank: impl Fn(&Connection, usize) -> Option<Rank>) -> Option<u64> {
        let by_customer = self.by_customer();
        let held = |connection: &Connection| {
            by_customer.get(&connection.net.customer()).copied().unwrap_or(0)
        };
        let candidates = self.connections.iter().filter_map(|(number, connection)| {
            let held = held(connection);
            let rank = rank(connection, held)?;
            Some((Reverse(held), rank, connection.waiting_since(), *number))
        });
        candidates.min().map(|(.., number)| number)
    }

    /// Takes a permit away and notifies its connection, which then ends.
    fn revoke(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else { return };
        connection.revoked.notify_one();
        match self.by_net.get_mut(&connection.net) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.by_net.remove(&connection.net)),
        }
    }
}

impl Permit {
    /// Completes when the connection must end because another one needs the permit.
    pub async fn revoked(&self) {
        self.connection.revoked.notified().await;
    }

    /// The client has logged in: from now on this connection is not closed for a newcomer.
    pub fn authenticate(&self) {
        self.connection.authenticated.store(true, Ordering::Relaxed);
    }

    /// The node waits for the client.
    pub fn waiting(&self) {
        // Only the first pause of a request sets the time.
        let _ = self.connection.waiting_since.compare_exchange(
            0,
            self.limiter.now(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        self.connection.waiting.store(true, Ordering::Relaxed);
    }

    /// The client has sent or taken bytes.
    pub fn progressed(&self) {
        self.connection.progressed_at.store(self.limiter.now(), Ordering::Relaxed);
        // Between requests the node waits for the next one, even while bytes are transferred.
        self.connection.waiting.store(!self.connection.is_serving(), Ordering::Relaxed);
    }

    /// A request or message has begun and is handled until the returned guard is dropped.
    pub fn serve(self: Arc<Self>) -> Serving {
        self.connection.serving.store(true, Ordering::Relaxed);
        self.connection.waiting_since.store(0, Ordering::Relaxed);
        self.progressed();
        Serving(self)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let Permit { limiter, connection, .. } = &*self.0;
        connection.serving.store(false, Ordering::Relaxed);
        connection.waiting_since.store(limiter.now(), Ordering::Relaxed);
        self.0.progressed();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.lock().revoke(self.number);
    }
}

#[cfg(test)]
mod tests;
