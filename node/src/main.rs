//! `freehold`: one person's node. Every action of the process starts in a command (`cli`).

mod background;
mod certificate;
mod cli;
mod config;
mod console;
mod control;
mod data_folder;
mod demo;
mod exit;
mod listen;
mod logging;
mod server;
mod shell;
mod startup_message;
mod stop;

use std::process::ExitCode;

fn main() -> ExitCode {
    freehold_heap::configure();
    // rustls panics instead of choosing if a dependency brings a second TLS provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
