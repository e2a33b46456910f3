//! The command line; `--help` documents it. Each command has one file. A command on a running node
//! and a command on a stopped one call the same functions (`control`).

mod arguments;
mod identity;
mod init;
mod prompt;
mod request;
mod serve;

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Parser;

use crate::{config, console, demo, exit, logging};
pub(crate) use arguments::Demo as DemoArguments;
use arguments::{Arguments, Command, IdentityCommand};
pub(crate) use serve::{PARENT, ends_with};

/// Parses the command line and runs the command.
pub(crate) fn run() -> Result<()> {
    let mut arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // `--help` and `--version`.
        Err(output) if !output.use_stderr() => {
            console::print(output.to_string().trim_end());
            return Ok(());
        }
        Err(error) => {
            return Err(exit::with(
                exit::USAGE,
                error.to_string().trim_start_matches("error: ").trim_end(),
            ));
        }
    };
    // A relative path has no parent whose entry could be synced, and the working folder may change.
    arguments.data =
        arguments.data.map(std::path::absolute).transpose().context("--data is no valid path")?;
    let command = arguments.command.unwrap_or(Command::Serve);
    // The demo has its own folder and settings, apart from those of the user's real node.
    let default_folder = || {
        if matches!(command, Command::Demo(_)) {
            config::data_default().join("demo")
        } else {
            config::data_default()
        }
    };
    let data = arguments.data.clone().unwrap_or_else(default_folder);
    if let Command::Config = command {
        console::print(config::EXAMPLE.trim_end());
        return Ok(());
    }
    let config = config::load(&data, arguments.config.as_deref(), &arguments.set)?;
    // Other commands print their own result; log lines between it would confuse.
    let is_serving = matches!(command, Command::Serve);
    logging::start(if is_serving { &config.node.log } else { "error" })?;
    let options = restated(arguments.config.as_deref(), &arguments.set)?;
    let target = Target { data, config, options };
    match command {
        Command::Serve => block_on(&target, serve::run(target.clone())),
        Command::Init(init) => block_on(&target, init::run(target.clone(), init)),
        Command::Demo(demo) => block_on(&target, demo::run(target.clone(), demo)),
        Command::Config => Ok(()),
        Command::Identity { command: IdentityCommand::New(new) } => identity::new(new),
        Command::Identity { command: IdentityCommand::Sign(sign) } => identity::sign(&sign),
        Command::Identity { command: IdentityCommand::ChangeWords(change) } => {
            identity::change_words(change)
        }
        Command::Identity { command: IdentityCommand::Unlock } => identity::unlock(&target),
        Command::Identity { command: IdentityCommand::Request(arguments) } => {
            block_on(&target, identity::request(target.clone(), arguments))
        }
        Command::Identity { command: IdentityCommand::Log { out } } => {
            block_on(&target, identity::log(target.clone(), &out))
        }
        other => block_on(&target, request::run(target.clone(), other)),
    }
}

/// The node that a command is about.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The data folder.
    pub(crate) data: std::path::PathBuf,
    /// The configuration.
    pub(crate) config: config::Config,
    /// `--config` and `--set` as they were given, for a command to paste.
    pub(crate) options: Vec<String>,
}

/// `--config` and `--set` for another command on the same node. The path is absolute, because that
/// command may be run in another folder.
fn restated(config: Option<&Path>, sets: &[String]) -> Result<Vec<String>> {
    let mut options = Vec::new();
    if let Some(config) = config {
        let config = std::path::absolute(config).context("--config is no valid path")?;
        options.extend(["--config".to_owned(), config.to_string_lossy().into_owned()]);
    }
    for set in sets {
        options.extend(["--set".to_owned(), set.clone()]);
    }
    Ok(options)
}

fn block_on(target: &Target, work: impl Future<Output = Result<()>>) -> Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if target.config.node.threads > 0 {
        builder.worker_threads(target.config.node.threads);
    }
    let runtime = builder
        .enable_all()
        .thread_name("freehold")
        .build()
        .context("the async runtime could not start")?;
    let result = runtime.block_on(work);
    // Tasks that still run have received the signal to stop. A thread that hangs in a system call
    // must not delay the exit.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    result
}

/// Reads the text file at `path`; `-` is standard input.
pub(crate) fn read_input(path: &Path) -> Result<String> {
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
        exit::with(exit::DATA, format!("{} is not UTF-8 text; save it as UTF-8", path.display()))
    })
}
