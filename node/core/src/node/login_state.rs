//! The state of logins that this process does not store.

use super::{ProgramSessions, TemporarySessions, Throttle};

/// Recent wrong passwords and the sessions that are not stored. Cheap to clone.
#[derive(Clone, Default)]
pub struct LoginState {
    /// Recent guesses at the owner's password.
    pub browsers: Throttle,
    /// Recent guesses at app passwords. They are counted apart, so that a mail program with an old
    /// password does not lock out the owner's browser.
    pub programs: Throttle,
    /// The sessions of a node that can't store them.
    pub temporary_sessions: TemporarySessions,
    /// The sessions of mail programs.
    pub program_sessions: ProgramSessions,
}
