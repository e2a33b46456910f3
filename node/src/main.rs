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
    // A dependency may bring a second TLS provider; then rustls would panic instead of choosing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
