//! Confirms the domains of friends' addresses: a public domain is a friend's if its site serves the
//! friend's identity log. Then mail to it goes to the friend's node
//! (`core/friends/mail_domain.rs`).
//!
//! A friend who names somebody else's domain gets nothing: that domain's site does not serve the
//! friend's log.

use std::collections::HashMap;
use std::time::Duration;

use freehold_core::blocking::{blocking, try_blocking};
use freehold_core::clock::Timestamp;
use freehold_core::events::Event;
use freehold_core::friends::{self, MailDomain};
use freehold_core::identity::{IdentityLog, PersonId};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::https::{self, Wanted};
use crate::state::MailState;

/// How long a confirmation is not renewed, in milliseconds: a day.
const FRESH_MS: u64 = 24 * 60 * 60 * 1000;
/// The pause after a failure, in milliseconds: an hour.
const FAILED_MS: u64 = 60 * 60 * 1000;
/// The pause between two looks at the friends' domains.
const PAUSE: Duration = Duration::from_secs(15 * 60);
/// The site's file: the identity log, 256 operations of 3 KiB at most.
const WANTED: Wanted = Wanted {
    path: "/.well-known/freehold",
    content_type: "application/cbor",
    len_max: 1024 * 1024,
};

/// Confirms the domains that are due, until mail stops.
pub(crate) async fn run(state: MailState) {
    let mut events = state.node.events.subscribe();
    let mut tried: HashMap<String, Timestamp> = HashMap::new();
    loop {
        tokio::select! {
            () = Box::pin(check_all(&state, &mut tried)) => {}
            () = state.drain.stopping() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = friends_changed(&mut events) => {}
            () = state.drain.stopping() => return,
        }
    }
}

async fn friends_changed(events: &mut Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Friends) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

async fn check_all(state: &MailState, tried: &mut HashMap<String, Timestamp>) {
    let node = state.node.clone();
    let named = match try_blocking(move || friends::mail_domains(&node)).await {
        Ok(named) => named,
        Err(error) => return tracing::warn!(%error, "the domains of friends can't be read"),
    };
    let now = state.node.clock.now();
    tried.retain(|_, at| *at <= now && now.millis_since(*at) < FAILED_MS);
    for domain in named.into_iter().filter(|named| is_due(named, now)) {
        if tried.insert(domain.domain.clone(), now).is_none() {
            check(state, &domain).await;
        }
    }
}

fn is_due(named: &MailDomain, now: Timestamp) -> bool {
    named.vouched.is_none_or(|at| now.millis_since(at) >= FRESH_MS)
}

/// Asks a domain's site. One that does not answer changes nothing: an earlier confirmation counts
/// for some weeks.
async fn check(state: &MailState, named: &MailDomain) {
    let Some(dns) = state.dns.get() else { return };
    let MailDomain { person, domain, .. } = named;
    match https::get(dns, domain, &WANTED, &state.config.trusted_roots).await {
        Err(cause) => tracing::info!(domain, cause, "a friend's domain is not confirmed yet"),
        Ok(body) => {
            let served = blocking(move || person_of(&body)).await.ok().flatten();
            let is_confirmed = served == Some(*person);
            tracing::info!(domain, is_confirmed, "the site of a friend's domain was asked");
            if let Err(error) = friends::vouch_mail_domain(&state.node, domain, served).await {
                tracing::warn!(%error, "the answer of a friend's domain is not stored");
            }
        }
    }
}

/// The person whose valid identity log these bytes are.
fn person_of(body: &[u8]) -> Option<PersonId> {
    IdentityLog::from_canonical(body).ok().map(|log| log.person())
}

#[cfg(test)]
mod tests {
    use freehold_core::testing::TestNode;

    use super::*;

    #[tokio::test]
    async fn served_log_names_its_person_and_nothing_else_does() {
        let bob = TestNode::new("bob").await;
        let log = bob.identity.log().unwrap().to_canonical();
        assert_eq!(person_of(&log), bob.identity.person());
        let mut damaged = log.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for other in [&damaged, &log[1..].to_vec(), &b"<html>".to_vec(), &Vec::new()] {
            assert_eq!(person_of(other), None);
        }
    }

    #[test]
    fn confirmation_is_renewed_after_a_day() {
        let named = |vouched| MailDomain {
            person: PersonId([1; 32]),
            domain: "bob.house".to_owned(),
            vouched,
        };
        let now = Timestamp(10 * FRESH_MS);
        assert!(is_due(&named(None), now));
        assert!(!is_due(&named(Some(now)), now));
        assert!(is_due(&named(Some(Timestamp(9 * FRESH_MS))), now));
    }
}
