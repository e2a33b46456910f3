//! `freehold demo`: three people's nodes on this machine, each a process of its own, befriended and furnished.
//!
//! Everything is done through the same doors a person uses: commands through the control socket, mail through submission, pages by HTTP.

mod check;
mod furnish;
mod house;
mod people;
mod wire;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;

use crate::cli::DemoArguments;
use crate::{config, say};
use house::House;
use people::Neighbourhood;

/// Runs the demo in `data` (or a folder of its own) until Ctrl-C; with `--check`, until it has proved itself.
pub(crate) async fn run(data: Option<PathBuf>, arguments: DemoArguments) -> Result<()> {
    let neighbourhood = Neighbourhood::built_in()?;
    if arguments.check {
        let folder = tempfile::Builder::new().prefix("freehold-demo-").tempdir().context("no folder for the demo")?;
        let mut houses = open(folder.path(), &neighbourhood).await?;
        write_json(arguments.json.as_deref(), &houses)?;
        return check::run(&neighbourhood, &mut houses).await;
    }
    let folder = data.unwrap_or_else(|| config::data_default().join("demo"));
    let mut houses = open(&folder, &neighbourhood).await?;
    furnish::wait(&neighbourhood, &houses).await?;
    write_json(arguments.json.as_deref(), &houses)?;
    welcome(&houses);
    stay(&mut houses).await
}

/// Brings the houses up, befriended and furnished.
async fn open(folder: &Path, neighbourhood: &Neighbourhood) -> Result<Vec<House>> {
    let bar = say::progress("Bringing up three nodes");
    bar.set_length(3 + 3 + 3);
    let mut houses = Vec::new();
    for person in &neighbourhood.person {
        houses.push(House::plan(&folder.join(&person.login), person)?);
    }
    // Mail between them goes by a route table, and never further.
    let routes: Vec<(String, String)> =
        houses.iter().map(|house| (house.domain(), format!("127.0.0.1:{}", house.ports.smtp.port()))).collect();
    for house in &mut houses {
        house.set_up(&routes).await?;
        house.start().await?;
        bar.inc(1);
    }
    furnish::befriend(&houses, &bar).await?;
    for house in &mut houses {
        house.make_app_password().await?;
    }
    furnish::fill(neighbourhood, &houses, &bar).await?;
    bar.finish_and_clear();
    Ok(houses)
}

fn write_json(path: Option<&Path>, houses: &[House]) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let people: Vec<_> = houses.iter().map(House::json).collect();
    let text = serde_json::to_string_pretty(&json!({ "people": people }))?;
    // Whoever waits for the file finds it whole.
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, text).with_context(|| format!("can't write {}", path.display()))?;
    std::fs::rename(&temporary, path).with_context(|| format!("can't write {}", path.display()))
}

fn welcome(houses: &[House]) {
    say::line("\nThree people live on this machine now, each in a house of their own.\n");
    for house in houses {
        say::line(format!("  {:14} {}", house.name, house.url()));
        say::line(format!("  {:14} password  {}", "", house.password));
        say::line(format!("  {:14} mail      {}  app password  {}", "", house.address(), house.app_password));
        say::line(format!("  {:14} process   {}  starts again with: {}\n", "", house.pid().unwrap_or_default(), house.start_line()));
    }
    if let Some(house) = houses.first() {
        say::line("Send a mail and read it, as Alice:\n");
        for line in crate::welcome::mail_lines(&house.address(), &house.app_password, &house.ports, &house.certificate()) {
            say::line(format!("  {line}"));
        }
    }
    say::line("\nCtrl-C stops all three. What they have is kept; `freehold demo` goes on from there.");
}

/// Stays until Ctrl-C or SIGTERM, then stops the houses; says so when one ends by itself.
async fn stay(houses: &mut [House]) -> Result<()> {
    let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut look = tokio::time::interval(std::time::Duration::from_millis(500));
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = term.recv() => break,
            _ = look.tick() => {
                for house in houses.iter_mut().filter_map(|house| house.ended().then_some(house)) {
                    say::line(format!("{}'s node has ended. It starts again with: {}", house.name, house.start_line()));
                }
            }
        }
    }
    for house in houses.iter_mut() {
        house.stop().await?;
    }
    Ok(())
}
