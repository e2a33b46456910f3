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

use rustix::fs::Mode;
#[cfg(target_os = "linux")]
use rustix::process::DumpableBehavior;
use rustix::process::{Resource, Rlimit};

/// A core dump would have the keys in it, and so has the memory that a debugger of the same user
/// reads. A failure leaves things as they are in other programs.
fn forbid_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// No file or folder that the process makes is for other users, whatever umask it inherited.
fn forbid_other_users() {
    rustix::process::umask(Mode::from_raw_mode(0o077));
}

fn main() -> ExitCode {
    freehold_heap::configure();
    forbid_core_dumps();
    forbid_other_users();
    // rustls panics instead of choosing if a dependency brings a second TLS provider.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error),
    }
}
