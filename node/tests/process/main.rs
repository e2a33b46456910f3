//! The built program as a process: its output, its responses, its exit status.
//!
//! No test sleeps: each waits for a line, a response or the end of the process, and fails after a
//! timeout.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails fails its test"
)]

mod check;
mod clients;
mod commands;
mod crash;
mod demo;
mod errors;
mod fixture;
mod folder;
mod https;
mod identity;
mod logs;
mod mail_files;
mod mnemonic;
mod node_process;
mod photos;
mod proxies;
mod sending;
mod start;
mod startup;
mod stop;
