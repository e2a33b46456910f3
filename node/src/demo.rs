//! `freehold demo`: three people's nodes on this machine, each in its own process, as friends and
//! with content.
//!
//! The demo uses the interfaces of its users: commands through the control socket, mail through
//! submission, pages by HTTP.

mod check;
mod clients;
mod content;
mod node;
mod ready_file;
mod seed;
mod state;

use std::fs::{File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cli::{DemoArguments, Target};
use crate::config::Config;
use crate::listen::ListenConfig;
use crate::stop::Stop;
use crate::{console, exit, shell};
use content::Content;
use node::DemoNode;
use ready_file::ReadyFile;

/// Runs the demo in its folder until Ctrl-C; with `--check` in a temporary folder, until all its
/// tests have passed.
pub(crate) async fn run(target: Target, arguments: DemoArguments) -> Result<()> {
    if target.config.listen != ListenConfig::default() {
        return Err(exit::with(
            exit::CONFIG,
            "the demo chooses the ports of its nodes itself: remove every listen.* setting",
        ));
    }
    let content = Content::built_in()?;
    let mut stop = Stop::listen()?;
    let temporary = arguments
        .check
        .then(|| tempfile::Builder::new().prefix("freehold-demo-").tempdir())
        .transpose();
    let temporary = temporary.context("can't create a temporary folder for the demo")?;
    let folder = temporary.as_ref().map_or(target.data.as_path(), |temporary| temporary.path());
    let _lock = lock(folder)?;
    let ready_file = arguments.json.as_deref().map(ReadyFile::at).transpose()?;
    let started = async {
        let mut nodes = start(folder, &target.config, &content).await?;
        if let Some(ready_file) = &ready_file {
            let mut people = Vec::new();
            for node in &nodes {
                people.push(node.json().await?);
            }
            ready_file.write(&people)?;
        }
        if arguments.check {
            check::run(&content, &mut nodes).await?;
        }
        Ok::<_, anyhow::Error>(nodes)
    };
    let mut nodes = tokio::select! {
        nodes = started => nodes?,
        // The kernel ends the nodes with this process; the next start continues the seeding.
        () = stop.requested() => return Ok(()),
    };
    if arguments.check {
        return Ok(());
    }
    print_summary(folder, &nodes);
    run_until_stopped(&mut nodes, stop).await
}

/// Creates the folder and locks it: two demos at once would seed the same nodes.
fn lock(folder: &Path) -> Result<File> {
    let cant_create = |error: std::io::Error| {
        exit::with(
            exit::CANT_CREATE,
            format!("the folder {} can't be written: {error}", folder.display()),
        )
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cant_create)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("demo.lock"))
        .map_err(cant_create)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let message = format!(
                "a demo is already running in {}; stop it first, or name another folder with \
                 --data",
                folder.display()
            );
            Err(exit::with(exit::UNAVAILABLE, message))
        }
        Err(TryLockError::Error(error)) => Err(cant_create(error)),
    }
}

/// Starts the nodes, makes them friends, seeds their content, and waits until all of it is
/// delivered. It continues an earlier start that was interrupted, and seeds nothing twice.
async fn start(folder: &Path, config: &Config, content: &Content) -> Result<Vec<DemoNode>> {
    let people = content.person.len();
    let pairs = people * people.saturating_sub(1) / 2;
    let bar = console::step_bar("Starting three nodes", 3 * people + pairs + content.mail.len());
    // The ports of a node that is not running yet look free, so another could choose one of them.
    let mut reserved = Vec::new();
    for person in &content.person {
        let ports = DemoNode::chosen_ports(&folder.join(&person.login))?;
        reserved.extend(ports.iter().flat_map(|ports| ports.ports()));
    }
    let mut nodes = Vec::new();
    for person in &content.person {
        let node = DemoNode::plan(&folder.join(&person.login), person, config, &reserved)?;
        reserved.extend(node.ports.ports());
        nodes.push(node);
    }
    // Mail between the nodes goes by a route table, and never to other servers.
    let routes: Vec<(String, String)> = nodes
        .iter()
        .map(|node| (node.domain(), format!("127.0.0.1:{}", node.ports.smtp.port())))
        .collect();
    for node in &mut nodes {
        node.open(&routes).await?;
        bar.inc(1);
    }
    seed::make_friends(&mut nodes, &bar).await?;
    for node in &mut nodes {
        node.ensure_app_password().await?;
    }
    let sent = seed::seed_content(content, &mut nodes, &bar).await?;
    seed::wait_for_delivery(&mut nodes, &sent, &bar).await?;
    bar.finish_and_clear();
    Ok(nodes)
}

/// Prints addresses, passwords and commands to paste.
fn print_summary(folder: &Path, nodes: &[DemoNode]) {
    console::print("\nThree people's nodes are running on this machine.\n");
    let web: Vec<u16> = nodes.iter().map(|node| node.ports.web.port()).collect();
    if let Some(command) = shell::ssh_tunnel(&web) {
        console::print(format!(
            "This is an ssh session. On your own computer, first run:\n\n  {command}\n"
        ));
    }
    for node in nodes {
        let process = node.pid().unwrap_or_default();
        console::print(format!(
            "  {:14} {}   (or http://127.0.0.1:{}/)",
            node.name,
            node.url(),
            node.ports.web.port()
        ));
        console::print(format!("  {:14} password  {}", "", node.password));
        console::print(format!(
            "  {:14} mail      {}  app password  {}",
            "",
            node.address(),
            node.app_password()
        ));
        if node.is_external() {
            console::print(format!("  {:14} process   {process}, which was running before\n", ""));
        } else {
            console::print(format!(
                "  {:14} process   {process}  to start it again: {}\n",
                "",
                node.start_command()
            ));
        }
    }
    if let Some(node) = nodes.first() {
        console::print("Send a message and read it, as Alice:\n");
        let user = format!("{}:{}", node.address(), node.app_password());
        for line in shell::mail_commands(&node.address(), &user, &node.ports, &node.certificate()) {
            console::print(format!("  {line}"));
        }
    }
    console::print(format!(
        "\nAll data is in {}; to delete the demo, delete that folder.",
        folder.display()
    ));
    let next_start = "The data stays; the same command continues from there.";
    if nodes.iter().any(DemoNode::is_external) {
        console::print(format!("Ctrl-C stops the nodes that this demo started. {next_start}"));
    } else {
        console::print(format!("Ctrl-C stops all three. {next_start}"));
    }
}

/// Waits for Ctrl-C or SIGTERM, then stops the nodes. Prints a line when a node ends before that.
async fn run_until_stopped(nodes: &mut [DemoNode], mut stop: Stop) -> Result<()> {
    let mut poll = tokio::time::interval(std::time::Duration::from_millis(500));
    loop {
        tokio::select! {
            biased;
            () = stop.requested() => break,
            _ = poll.tick() => {
                for node in nodes.iter_mut().filter_map(|node| node.has_ended().then_some(node)) {
                    console::print(format!(
                        "{}'s node has ended. To start it again: {}",
                        node.name,
                        node.start_command()
                    ));
                }
            }
        }
    }
    nodes.iter().for_each(DemoNode::send_sigterm);
    for node in nodes.iter_mut() {
        node.stop().await?;
        // A user started this node with the printed command and may still be using it.
        if let Some(process) = node.running_pid().await {
            console::print(format!(
                "{}'s node was not started by this demo and keeps running. To stop it: kill \
                 {process}",
                node.name
            ));
        }
    }
    Ok(())
}
