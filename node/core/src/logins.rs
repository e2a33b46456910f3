//! How the owner gets in: one password for the browser, a session per browser, a password of its
//! own per mail program, and a one-time link before any of them exist.
//!
//! Stored are only hashes: Argon2id of the password, plain BLAKE3 of 256-bit session tokens, keyed
//! BLAKE3 of app passwords (which are random, so a slow hash would protect nothing).

mod apps;
mod password;
mod sessions;
mod setup;
mod token;

pub use apps::{
    AppPassword, AppPasswordId, app_passwords, check_app_password, create_app_password,
    revoke_app_password,
};
pub use freehold_proto::ClientNet;
pub use password::{
    PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, PasswordError, check_password, set_password,
};
pub use sessions::{LoginError, Session, SessionId, login, logout, session, sessions};
pub use setup::{SetUpError, offer_setup, set_up, setup_is_open};
pub use token::{NotAToken, SessionToken, SetupToken};
