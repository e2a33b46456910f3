//! Checks app passwords: by their text (PLAIN, LOGIN) and by a proof (SCRAM).
//!
//! A right app password is never refused for the wrong ones before it: it has 125 bits, so guessing
//! does not find it, and a program with an old password must not lock out the others of its
//! network. An unknown user and a wrong password give the same answer after the same work.

use super::{APP_PASSWORDS_MAX, AppClient, AppPasswordId, AppRow, key_of, letters_of, verifier_of};
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::logins::program_sessions::ProgramLoginError;
use crate::logins::scram::{ScramProof, scram_parameters};
use crate::logins::{AppLimits, ClientNet, LoginError, Protocol};
use crate::node::Node;
use crate::profile;
use crate::row;
use crate::store::{Scan, StoreError};

/// The longest typed password that is hashed, in bytes; a longer one is never valid.
const TYPED_LEN_MAX: usize = 200;
/// The age at which the stored `last_used` is renewed, in milliseconds: renewing it for each use
/// would be a commit per use.
pub(super) const LAST_USED_EVERY_MS: u64 = 60 * 60 * 1000;

/// A right app password.
pub(in crate::logins) struct Verified {
    /// The key of its row.
    pub(in crate::logins) key: [u8; 16],
    pub(in crate::logins) id: AppPasswordId,
    pub(in crate::logins) limits: AppLimits,
    last_used: Option<Timestamp>,
    /// The letters, if SCRAM does not work with them yet.
    without_verifier: Option<String>,
}

impl Verified {
    fn new(key: [u8; 16], row: &AppRow) -> Self {
        let (id, limits, last_used) = (row.id, row.limits(), row.last_used);
        Self { key, id, limits, last_used, without_verifier: None }
    }

    /// Checks its limits.
    pub(in crate::logins) fn permit(
        &self,
        protocol: Protocol,
        now: Timestamp,
    ) -> Result<(), ProgramLoginError> {
        if self.limits.is_expired(now) {
            Err(ProgramLoginError::Expired)
        } else if !self.limits.scope.covers(protocol) {
            Err(ProgramLoginError::OutOfScope(self.limits.scope))
        } else {
            Ok(())
        }
    }
}

/// Verifies an app password of a client on network `from`, whatever its scope. `user` is the
/// owner's login name or any of the owner's addresses.
///
/// # Errors
/// When user or password are wrong or the password has expired, or there were too many wrong
/// passwords.
pub async fn check_app_password(
    node: &Node,
    user: &str,
    password: &str,
    from: ClientNet,
) -> Result<AppPasswordId, LoginError> {
    let verified = verify_password(node, user, password, from).await?;
    if verified.limits.is_expired(node.clock.now()) {
        return Err(LoginError::Wrong);
    }
    record_use(node, &verified, None).await?;
    Ok(verified.id)
}

/// Verifies an app password by its text; its limits are not checked.
pub(in crate::logins) async fn verify_password(
    node: &Node,
    user: &str,
    password: &str,
    from: ClientNet,
) -> Result<Verified, LoginError> {
    // Rows are read before the attempt is counted: an error of the store is no wrong password.
    let letters = letters_of(row::cut(password, TYPED_LEN_MAX));
    let key = key_of(node, &letters)?;
    let found = row::get::<AppRow>(&node.store, &key)?;
    let parameters = scram_parameters(node)?;
    let is_owner = profile::is_login_name(node, user)?;
    let Some(app) = found.filter(|_| is_owner) else {
        let secret = u64::from_be_bytes(row::key_part(&key, 0));
        return Err(match node.logins.programs.wrong_secret(from, secret, node.clock.now()) {
            Ok(()) => LoginError::Wrong,
            Err(retry_after_ms) => LoginError::TooOften { retry_after_ms },
        });
    };
    let without_verifier = (!app.is_ready_for(&parameters)).then_some(letters);
    Ok(Verified { without_verifier, ..Verified::new(key, &app) })
}

/// Verifies a proof of an app password, and returns the ServerSignature; the password's limits are
/// not checked. Every app password is tried, also for an unknown user, so that the time tells
/// nothing.
///
/// A wrong proof does not tell which password was used, so each counts as a guess of its network.
pub(in crate::logins) async fn verify_proof(
    node: &Node,
    proof: ScramProof,
    from: ClientNet,
) -> Result<(Verified, [u8; 32]), LoginError> {
    let asked = node.clone();
    let (found, is_owner) = try_blocking(move || {
        let parameters = scram_parameters(&asked)?;
        let rows = row::scan::<AppRow>(&asked.store, &Scan::prefix(&[], APP_PASSWORDS_MAX))?;
        let is_owner = profile::is_login_name(&asked, &proof.user)?;
        let mut found = None;
        for (key, row) in &rows {
            let verifier = row.verifier.as_ref().filter(|verifier| verifier.is_of(&parameters));
            let signature =
                verifier.and_then(|v| v.check(proof.auth_message.as_bytes(), &proof.proof));
            if let (Some(signature), Ok(key)) = (signature, <[u8; 16]>::try_from(key.as_slice())) {
                found = Some((Verified::new(key, row), signature));
            }
        }
        Ok::<_, StoreError>((found, is_owner))
    })
    .await?;
    match found.filter(|_| is_owner) {
        Some(found) => Ok(found),
        None => Err(match node.logins.programs.attempt(from, node.clock.now()) {
            Ok(()) => LoginError::Wrong,
            Err(retry_after_ms) => LoginError::TooOften { retry_after_ms },
        }),
    }
}

/// Whether the password `id` under `key` was not revoked and has not expired. Reads one row.
pub(in crate::logins) fn is_valid(
    node: &Node,
    key: &[u8; 16],
    id: AppPasswordId,
) -> Result<bool, StoreError> {
    let now = node.clock.now();
    let row = row::get::<AppRow>(&node.store, key)?;
    Ok(row.is_some_and(|app| app.id == id && !app.limits().is_expired(now)))
}

/// Records the use of a password, at most once an hour, and makes what SCRAM needs of a password of
/// an earlier version. Nothing is recorded for a revoked password.
///
/// # Errors
/// When the store is unavailable; a full disk is none.
pub(in crate::logins) async fn record_use(
    node: &Node,
    verified: &Verified,
    client: Option<AppClient>,
) -> Result<(), StoreError> {
    let (key, now) = (verified.key, node.clock.now());
    let is_due = is_due(verified.last_used, now);
    let verifier = match &verified.without_verifier {
        Some(letters) => Some(verifier_of(node, letters).await?),
        None => None,
    };
    if !is_due && verifier.is_none() {
        return Ok(());
    }
    let change = move |app: &mut AppRow| {
        if is_due {
            (app.last_used, app.last_client) = (Some(now), client);
        }
        if verifier.is_some() {
            app.verifier = verifier;
        }
    };
    change_row(node, key, change).await
}

/// Records that a session of the password `id` under `key` is in use, at most once an hour: a mail
/// program may stay logged in for weeks.
///
/// # Errors
/// As [`record_use`].
pub(in crate::logins) async fn renew_use(
    node: &Node,
    key: [u8; 16],
    id: AppPasswordId,
    client: AppClient,
) -> Result<(), StoreError> {
    let now = node.clock.now();
    let row = row::get::<AppRow>(&node.store, &key)?;
    if !row.is_some_and(|app| app.id == id && is_due(app.last_used, now)) {
        return Ok(());
    }
    let change =
        move |app: &mut AppRow| (app.last_used, app.last_client) = (Some(now), Some(client));
    change_row(node, key, change).await
}

fn is_due(last_used: Option<Timestamp>, now: Timestamp) -> bool {
    last_used.is_none_or(|at| now.millis_since(at) >= LAST_USED_EVERY_MS)
}

async fn change_row(
    node: &Node,
    key: [u8; 16],
    change: impl FnOnce(&mut AppRow) + Send + 'static,
) -> Result<(), StoreError> {
    let written = node
        .store
        .commit(move |tx| {
            // If the password was revoked in between, the row must not be written again.
            let Some(mut app) = row::get::<AppRow>(tx, &key)? else { return Ok(()) };
            change(&mut app);
            row::put(tx, &key, &app)
        })
        .await;
    match written {
        Ok(()) => Ok(()),
        // A disk that can't be written must not prevent reading mail.
        Err(error) if error.is_refusal() => Ok(()),
        Err(error) => Err(error),
    }
}
