//! Secrets that a form made and the next page shows: an app password, an invite. The form answers
//! with a redirect, so a reload of the page makes no second one, and a second press of the button
//! leads to the same secret. They are in memory only, and for a few minutes.

use std::collections::VecDeque;
use std::sync::Arc;

use freehold_core::clock::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

/// How long a secret can be shown, in milliseconds.
const SHOWN_MS: u64 = 5 * 60 * 1000;
/// The most secrets in memory; the oldest is dropped for another one.
const SECRETS_MAX: usize = 16;

/// A secret that a form made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    AppPassword(NewAppPassword),
    /// The links of an invite, and the name of the person it is for.
    Invite(InviteLinks, String),
}

/// An app password with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewAppPassword {
    pub(crate) label: String,
    pub(crate) password: String,
}

/// The links of one invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteLinks {
    /// The link to give to the friend.
    pub link: String,
    /// The link with the whole invite, if `link` has the token alone.
    pub long: Option<String>,
}

/// The secrets of the last minutes, by the key of their form. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct MadeOnce(Arc<Mutex<Secrets>>);

/// See [`MadeOnce`].
#[derive(Default)]
pub(crate) struct Secrets(VecDeque<(String, Timestamp, Made)>);

impl MadeOnce {
    /// Locks the secrets. A form holds this while it makes its secret, so that a second press waits
    /// for the first.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, Secrets> {
        self.0.lock().await
    }
}

impl Secrets {
    /// The secret that the form with `key` made.
    pub(crate) fn get(&mut self, key: &str, now: Timestamp) -> Option<Made> {
        self.0.retain(|(_, at, _)| now.millis_since(*at) < SHOWN_MS);
        self.0.iter().find(|(known, ..)| known == key).map(|(.., made)| made.clone())
    }

    /// Stores the secret that the form with `key` made.
    pub(crate) fn insert(&mut self, key: String, now: Timestamp, made: Made) {
        if self.0.len() >= SECRETS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((key, now, made));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn secret_is_shown_for_minutes_and_bounded() {
        let made =
            Made::AppPassword(NewAppPassword { label: "phone".into(), password: "abc".into() });
        let once = MadeOnce::default();
        let mut secrets = once.lock().await;
        secrets.insert("k".into(), Timestamp(0), made.clone());
        assert_eq!(secrets.get("k", Timestamp(SHOWN_MS - 1)), Some(made.clone()));
        assert_eq!(secrets.get("other", Timestamp(0)), None);
        assert_eq!(secrets.get("k", Timestamp(SHOWN_MS)), None);
        for n in 0..100 {
            secrets.insert(n.to_string(), Timestamp(0), made.clone());
        }
        assert_eq!(secrets.0.len(), SECRETS_MAX);
    }
}
