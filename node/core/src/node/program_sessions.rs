//! The open sessions of mail programs: each is one connection of this process.
//!
//! The row of an app password says whether its sessions may go on. The signal here is only a hint,
//! which ends sessions that wait for their client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::clock::Timestamp;

/// Every open session of a mail program. Cheap to clone.
#[derive(Clone, Default)]
pub struct ProgramSessions {
    open: Arc<Mutex<HashMap<u64, OpenSession>>>,
    next: Arc<AtomicU64>,
}

/// One open session.
#[derive(Clone)]
pub(crate) struct OpenSession {
    /// The id of its app password.
    pub(crate) app_password: [u8; 16],
    /// The protocol's name.
    pub(crate) protocol: &'static str,
    /// The client's address.
    pub(crate) address: IpAddr,
    /// The time of the login.
    pub(crate) created: Timestamp,
    /// The time at which its app password expires.
    pub(crate) expires: Option<Timestamp>,
    /// Completes when the session is ended.
    pub(crate) end: EndSignal,
}

/// Tells a session's connection that the owner has ended the session.
#[derive(Clone, Default)]
pub struct EndSignal(Arc<(AtomicBool, Notify)>);

impl EndSignal {
    /// Whether the session was ended.
    pub fn is_ended(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }

    /// Completes when the session is ended.
    pub async fn ended(&self) {
        let ended = self.0.1.notified();
        tokio::pin!(ended);
        // The flag is read after the registration, so that no signal is missed.
        ended.as_mut().enable();
        if !self.is_ended() {
            ended.await;
        }
    }

    fn end(&self) {
        self.0.0.store(true, Ordering::SeqCst);
        self.0.1.notify_waiters();
    }
}

impl ProgramSessions {
    /// Adds a session and returns its number.
    pub(crate) fn open(&self, session: OpenSession) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, session);
        number
    }

    /// Removes a session whose connection is over.
    pub(crate) fn close(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// Every open session with its number.
    pub(crate) fn all(&self) -> Vec<(u64, OpenSession)> {
        self.lock().iter().map(|(number, session)| (*number, session.clone())).collect()
    }

    /// Ends the sessions that `ends` chooses by number and session.
    pub(crate) fn end(&self, ends: impl Fn(u64, &OpenSession) -> bool) {
        for (number, session) in self.lock().iter() {
            if ends(*number, session) {
                session.end.end();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, OpenSession>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn session(app_password: u8) -> OpenSession {
        OpenSession {
            app_password: [app_password; 16],
            protocol: "imap",
            address: Ipv4Addr::LOCALHOST.into(),
            created: Timestamp(0),
            expires: None,
            end: EndSignal::default(),
        }
    }

    #[tokio::test]
    async fn end_signal_reaches_the_chosen_sessions_alone() {
        let sessions = ProgramSessions::default();
        let (one, two) = (session(1), session(2));
        let number = sessions.open(one.clone());
        sessions.open(two.clone());
        let waiting = tokio::spawn({
            let end = one.end.clone();
            async move { end.ended().await }
        });
        tokio::task::yield_now().await;
        sessions.end(|_, open| open.app_password == [1; 16]);
        waiting.await.unwrap();
        one.end.ended().await;
        assert!(one.end.is_ended() && !two.end.is_ended());
        sessions.close(number);
        assert_eq!(sessions.all().len(), 1);
    }
}
