//! The command line: what can be asked, taught by `--help`. Each command is a file; what a node
//! does while it runs and what a command asks of it goes through the same functions (`control`).

mod arguments;
mod identity;
mod init;
mod request;
mod serve;
mod words;

use std::io::Read;

use anyhow::{Context, Result};
use clap::Parser;

use crate::{config, demo, exit, logging, say};
pub(crate) use arguments::Demo as DemoArguments;
use arguments::{Arguments, Command, IdentityCommand};
pub(crate) use serve::{PARENT, ends_with};

/// Reads the command line and does what it says.
pub(crate) fn run() -> Result<()> {
    let mut arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) if !told.use_stderr() => {
            say::line(told.to_string().trim_end());
            return Ok(());
        }
        Err(wrong) => {
            return Err(exit::with(
                exit::USAGE,
                wrong.to_string().trim_start_matches("error: ").trim_end(),
            ));
        }
    };
    // A folder named from where one stands has no parent to be made durable in, and is not where
    // one stands later.
    arguments.data = arguments
        .data
        .map(std::path::absolute)
        .transpose()
        .context("the data folder's name can't be used")?;
    let command = arguments.command.unwrap_or(Command::Serve);
    // The demo has a folder and settings of its own: those of somebody's real node are none of its
    // business.
    let usual = || {
        if matches!(command, Command::Demo(_)) {
            config::data_default().join("demo")
        } else {
            config::data_default()
        }
    };
    let data = arguments.data.clone().unwrap_or_else(usual);
    if let Command::Config = command {
        say::line(config::EXAMPLE.trim_end());
        return Ok(());
    }
    let config = config::load(&data, arguments.config.as_deref(), &arguments.set)?;
    // One-shot commands speak for themselves; a log line among their words would only confuse.
    let serving = matches!(command, Command::Serve);
    logging::start(if serving { &config.node.log } else { "error" })?;
    let place = Place { data, config };
    match command {
        Command::Serve => block_on(&place, serve::run(place.clone())),
        Command::Init(init) => block_on(&place, init::run(place.clone(), init)),
        Command::Demo(demo) => block_on(&place, demo::run(place.clone(), demo)),
        Command::Config => Ok(()),
        Command::Identity { command: IdentityCommand::New(new) } => identity::new(new),
        Command::Identity { command: IdentityCommand::Sign(sign) } => identity::sign(&sign),
        Command::Identity { command: IdentityCommand::ChangeWords(change) } => {
            identity::change_words(change)
        }
        Command::Identity { command: IdentityCommand::Unlock } => identity::unlock(&place),
        Command::Identity { command: IdentityCommand::Request(asked) } => {
            block_on(&place, identity::ask(place.clone(), asked))
        }
        Command::Identity { command: IdentityCommand::Log { out } } => {
            block_on(&place, identity::log(place.clone(), &out))
        }
        other => block_on(&place, request::run(place.clone(), other)),
    }
}

/// Whose node a command is about: its folder and its configuration.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The data folder.
    pub(crate) data: std::path::PathBuf,
    /// Its configuration.
    pub(crate) config: config::Config,
}

fn block_on(place: &Place, work: impl Future<Output = Result<()>>) -> Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if place.config.node.threads > 0 {
        builder.worker_threads(place.config.node.threads);
    }
    let runtime = builder
        .enable_all()
        .thread_name("freehold")
        .build()
        .context("the runtime could not start")?;
    let done = runtime.block_on(work);
    // What still runs has been told to stop; a thread that hangs in a system call must not hold the
    // exit.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    done
}

/// Reads a file a command was given; `-` is standard input.
pub(crate) fn read_input(path: &std::path::Path) -> Result<String> {
    let mut bytes = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|read| bytes = read)
    };
    read.map_err(|error| {
        exit::with(exit::NO_INPUT, format!("can't read {}: {error}", path.display()))
    })?;
    String::from_utf8(bytes).map_err(|_| {
        exit::with(exit::DATA, format!("{} is no UTF-8 text; save it as UTF-8", path.display()))
    })
}
