//! The built program itself, as a process: what it prints, what it answers, how it ends.
//!
//! Nothing here sleeps: a test waits for a line, for an answer, or for the end of the process, and
//! fails when that does not come.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails fails its test"
)]

mod check;
mod commands;
mod crash;
mod demo;
mod fixture;
mod folder;
mod identity;
mod logs;
mod opening;
mod photos;
mod refusals;
mod running;
mod start;
mod stop;
mod wire;
mod words;
