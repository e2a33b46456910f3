//! Notices for the owner about this node and about a friend's: a retired node, a running copy,
//! clocks that differ, a disputed identity. Status and the owner's pages show the same.

use std::fmt;

use crate::feed;
use crate::friends::{self, Friend, FriendState};
use crate::hlc::AHEAD_MAX_MS;
use crate::identity::{self, PersonId};
use crate::identity_log;
use crate::node::Node;
use crate::store::StoreError;

/// Friends that are named in one notice.
const NAMED_MAX: usize = 3;

/// A state of this node that the owner must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The identity log has retired this node; the number of nodes that may publish.
    Retired {
        /// The owner's other nodes.
        others: usize,
    },
    /// The owner's identity log is disputed.
    Disputed,
    /// Friends' nodes hear another node with this one's key.
    CopyRunning {
        /// Names of these friends.
        heard_by: Vec<String>,
    },
    /// This machine's clock differs from those of most friends.
    ClockWrong {
        /// By how many milliseconds it is ahead; negative if it is behind.
        ahead_ms: i64,
    },
    /// The clock of one friend differs, and nothing shows which of the two is wrong.
    ClocksDiffer {
        /// The friend's name.
        friend: String,
        /// By how many milliseconds the friend's clock is ahead; negative if it is behind.
        ahead_ms: i64,
    },
}

impl Notice {
    /// A name for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retired { .. } => "retired",
            Self::Disputed => "disputed",
            Self::CopyRunning { .. } => "copy-running",
            Self::ClockWrong { .. } => "clock-wrong",
            Self::ClocksDiffer { .. } => "clocks-differ",
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retired { others } => {
                f.write_str(
                    "This node is retired: nothing that is written here is published any more, and \
                     friends' nodes no longer talk to it.",
                )?;
                match others {
                    0 => f.write_str(" You have no other node; add one with your 24 words."),
                    _ => f.write_str(" Go on at your other node."),
                }
            }
            Self::Disputed => f.write_str(
                "Your identity is disputed: two signed changes follow the same one, and no rule \
                 decides between them. Friends' nodes take no change of your keys until one does.",
            ),
            Self::CopyRunning { heard_by } => write!(
                f,
                "Another copy of this node is running: {} two nodes with this node's key. Each of \
                 them gets only a part of what friends send. Stop one of the two; if you did not \
                 start the other, somebody has your data folder: retire this node with your 24 \
                 words.",
                match heard_by.as_slice() {
                    [one] => format!("the node of {one} hears"),
                    many => format!("the nodes of {} hear", many.join(", ")),
                }
            ),
            Self::ClockWrong { ahead_ms } => write!(
                f,
                "This machine's clock is {} those of most friends' nodes. {} Set the clock.",
                difference(*ahead_ms, "ahead of", "behind"),
                if *ahead_ms > 0 {
                    "They hold back what you publish until their clocks are there."
                } else {
                    "What they publish appears here that much later."
                }
            ),
            Self::ClocksDiffer { friend, ahead_ms } => write!(
                f,
                "The clock of {friend}'s node is {} this one's. What the node with the clock ahead \
                 publishes appears that much later at the other. Compare both with a clock that is \
                 right.",
                difference(*ahead_ms, "ahead of", "behind"),
            ),
        }
    }
}

/// Such as "10 minutes ahead of".
fn difference(ahead_ms: i64, ahead: &str, behind: &str) -> String {
    format!("{} {}", duration(ahead_ms.unsigned_abs()), if ahead_ms > 0 { ahead } else { behind })
}

/// A duration in its largest unit, rounded down: "10 minutes".
pub fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7200 => (seconds / 60, "minute"),
        7200..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// The notices about this node, the gravest first.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn of_node(node: &Node) -> Result<Vec<Notice>, StoreError> {
    let mut notices = Vec::new();
    if identity::is_retired(node) {
        let others = node.identity.log().map_or(0, |log| log.live_nodes().count());
        notices.push(Notice::Retired { others });
    }
    if let Some(person) = node.identity.person()
        && identity_log::dispute(node, &person)?.is_some()
    {
        notices.push(Notice::Disputed);
    }
    let mut heard_by = Vec::new();
    for friend in node.presence.own_copies(node.clock.now()).iter().take(NAMED_MAX) {
        heard_by.extend(name_of(node, friend)?);
    }
    if !heard_by.is_empty() {
        notices.push(Notice::CopyRunning { heard_by });
    }
    notices.extend(clocks(node)?);
    Ok(notices)
}

/// The notices about clocks: of most friends together, or of single friends.
fn clocks(node: &Node) -> Result<Vec<Notice>, StoreError> {
    let mut clocks = node.presence.clocks();
    clocks.sort_by_key(|(_, ahead_ms)| *ahead_ms);
    let is_off = |ahead_ms: i64| ahead_ms.unsigned_abs() > AHEAD_MAX_MS;
    let middle = clocks.get(clocks.len() / 2).map_or(0, |(_, ahead_ms)| *ahead_ms);
    if clocks.len() > 1 && is_off(middle) {
        return Ok(vec![Notice::ClockWrong { ahead_ms: middle.saturating_neg() }]);
    }
    let mut notices = Vec::new();
    for (person, ahead_ms) in clocks.into_iter().filter(|(_, ahead_ms)| is_off(*ahead_ms)) {
        if let Some(friend) = name_of(node, &person)? {
            notices.push(Notice::ClocksDiffer { friend, ahead_ms });
        }
        if notices.len() >= NAMED_MAX {
            break;
        }
    }
    Ok(notices)
}

/// The name of a present friend.
fn name_of(node: &Node, person: &PersonId) -> Result<Option<String>, StoreError> {
    let friend = friends::get(node, person)?;
    Ok(friend.filter(|friend| friend.state == FriendState::Friend).map(|friend| friend.name))
}

/// A state of a friend's node that the owner must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FriendNotice {
    /// Every node that this node knows of the friend is retired.
    Retired,
    /// The friend's identity log is disputed.
    Disputed,
    /// Two copies of the friend's node run.
    TwoCopies,
    /// The friend's clock is ahead by these milliseconds; negative if it is behind.
    Clock(i64),
}

impl fmt::Display for FriendNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retired => {
                f.write_str("The node you know is retired. Ask for an invite of the new one.")
            }
            Self::Disputed => f.write_str("Identity disputed. Ask in person."),
            Self::TwoCopies => f.write_str("Two copies of this node are running. Tell its owner."),
            Self::Clock(ahead_ms) => write!(
                f,
                "Its clock is {} this one's.",
                difference(*ahead_ms, "ahead of", "behind")
            ),
        }
    }
}

/// The notices about a friend's node.
///
/// # Errors
/// As [`of_node`].
pub fn of_friend(node: &Node, friend: &Friend) -> Result<Vec<FriendNotice>, StoreError> {
    let (person, now) = (&friend.person, node.clock.now());
    let mut notices = Vec::new();
    // A log is verified when it is read. That of a connected node has been: it certifies the node.
    if !friend.is_online
        && identity::log_of(node, person)?
            .is_some_and(|log| !log.live_nodes().any(|live| *live == friend.node))
    {
        notices.push(FriendNotice::Retired);
    }
    if identity_log::dispute(node, person)?.is_some() {
        notices.push(FriendNotice::Disputed);
    }
    if node.presence.has_copies(person, now) {
        notices.push(FriendNotice::TwoCopies);
    }
    if let Some(ahead_ms) = node.presence.clock_ahead_ms(person)
        && ahead_ms.unsigned_abs() > AHEAD_MAX_MS
    {
        notices.push(FriendNotice::Clock(ahead_ms));
    }
    Ok(notices)
}

/// The addresses at which a friend's node is tried: those it has published, then those of the
/// introduction.
pub fn addresses_of(node: &Node, friend: &Friend) -> Vec<String> {
    let homes = feed::homes_of(node, &friend.person).ok().flatten();
    let mut addresses = homes.map(|homes| homes.libp2p).unwrap_or_default();
    addresses.extend(friend.addresses.iter().cloned());
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Event;
    use crate::identity::transfer::{Signed, sign};
    use crate::identity_log::VoidPolicy;
    use crate::testing::{START, TestNode, mnemonic_of};

    async fn with_friends(names: &[&str]) -> (TestNode, Vec<PersonId>) {
        let (alice, mut people) = (TestNode::new("alice").await, Vec::new());
        for name in names {
            let other = TestNode::new(name).await;
            alice.make_friends(&other).await;
            people.extend(other.identity.person());
        }
        (alice, people)
    }

    #[tokio::test]
    async fn clock_is_wrong_if_most_friends_say_so() {
        let (alice, people) = with_friends(&["bob", "carol", "dave"]).await;
        let set = |friend: usize, ahead_ms| {
            alice.presence.set_clock(people[friend], ahead_ms, START);
            of_node(&alice).unwrap()
        };
        assert_eq!(set(0, -60_000), []);
        let differs = Notice::ClocksDiffer { friend: "Bob".to_owned(), ahead_ms: -600_000 };
        assert_eq!(set(0, -600_000), [differs]);
        set(1, -601_000);
        let wrong = set(2, -599_000);
        assert_eq!(wrong, [Notice::ClockWrong { ahead_ms: 600_000 }]);
        assert!(wrong[0].to_string().contains("10 minutes ahead of"), "{}", wrong[0]);
        set(1, 0);
        assert!(matches!(set(2, 1000)[..], [Notice::ClocksDiffer { .. }]));
    }

    #[tokio::test]
    async fn running_copy_notice_names_the_witness() {
        let (alice, people) = with_friends(&["bob"]).await;
        alice.presence.set_own_copies(people[0], START);
        let heard_by = vec!["Bob".to_owned()];
        assert_eq!(of_node(&alice).unwrap(), [Notice::CopyRunning { heard_by }]);
        alice.presence.set_copies(people[0], START);
        let bob = friends::get(&alice, &people[0]).unwrap().unwrap();
        assert_eq!(of_friend(&alice, &bob).unwrap(), [FriendNotice::TwoCopies]);
    }

    #[tokio::test]
    async fn retired_node_gets_a_notice_and_makes_no_invite() {
        let (alice, bob) = TestNode::pair().await;
        let key = alice.identity.node_key();
        let request =
            identity_log::request_retirement(&alice, key, false, VoidPolicy::Accept).unwrap();
        let Signed::Request(signed) = sign(&request, &mnemonic_of("alice")).unwrap() else {
            panic!("a retirement is no claim")
        };
        let mut events = alice.events.subscribe();
        identity_log::upload(&alice, &signed).await.unwrap();
        assert_eq!(of_node(&alice).unwrap(), [Notice::Retired { others: 0 }]);
        let refused = friends::create_invite(&alice, "", &[]).await.unwrap_err();
        assert_eq!(refused, friends::InviteError::Retired);
        // The last event comes after the log in memory has changed.
        let mut last = None;
        while let Ok(event) = events.try_recv() {
            last = Some(event);
        }
        assert_eq!(last, Some(Event::Identity));

        let log = alice.identity.log().unwrap();
        identity_log::learn(&bob, log.to_bytes()).await.unwrap();
        let friend = friends::get(&bob, &log.person()).unwrap().unwrap();
        assert_eq!(of_friend(&bob, &friend).unwrap(), [FriendNotice::Retired]);
        assert_eq!(of_node(&bob).unwrap(), []);
    }

    #[test]
    fn durations_have_one_unit() {
        for (millis, text) in
            [(61_000, "61 seconds"), (600_000, "10 minutes"), (172_800_000, "2 days")]
        {
            assert_eq!(duration(millis), text);
        }
    }
}
