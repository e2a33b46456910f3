//! Logins of the owner: one password for browsers, a session per browser, an app password per mail
//! program, and a one-time set-up link before any of them exist.
//!
//! The store has hashes only: Argon2id of the password, BLAKE3 of 256-bit session tokens, keyed
//! BLAKE3 of app passwords (which are random, so a slow hash would add no protection), and the
//! keys by which SCRAM checks them.

mod apps;
mod browser;
mod password;
mod program_sessions;
mod report;
mod scram;
mod sessions;
mod set_password;
mod setup;
mod token;

pub use crate::node::EndSignal;
pub use apps::{
    APP_LABEL_LEN_MAX, AppClient, AppLimits, AppPassword, AppPasswordId, AppScope, NotAScope,
    app_passwords, check_app_password, create_app_password, create_limited_app_password,
    offers_scram, revoke_app_password,
};
pub use browser::{Browser, BrowserToken, browser_token};
pub use freehold_proto::ClientNet;
pub use password::{PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, PasswordError, check_password};
pub use program_sessions::{
    ListedProgram, ProgramLoginError, ProgramSession, ProvenProgram, end_expired_program_sessions,
    end_program_session, log_in_program, program_sessions, prove_program,
};
pub use report::{Protocol, report_refused_login, report_refused_program};
pub use scram::{ScramParameters, ScramProof, scram_parameters};
pub use sessions::{
    LoginError, Session, SessionId, end_all_sessions, end_session, login, logout, session, sessions,
};
pub use set_password::set_password;
pub use setup::{SetUpError, offer_setup, set_up, setup_is_open};
pub use token::{NotAToken, SessionToken, SetupToken};
#[cfg(any(test, feature = "testing"))]
pub use {apps::forget_scram_keys, scram::scram_client};
