//! `freehold`: one person's node. Everything the process does begins in a command (`cli`).

mod certificate;
mod chores;
mod cli;
mod config;
mod control;
mod demo;
mod exit;
mod listen;
mod logging;
mod open;
mod say;
mod server;
mod stop;
mod welcome;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two TLS providers are linked (QUIC brings a second); ours is chosen before anything can ask.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
