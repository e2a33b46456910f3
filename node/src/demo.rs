//! `freehold demo`: three people's nodes on this machine, each a process of its own, befriended and furnished.
//!
//! Everything is done through the same doors a person uses: commands through the control socket, mail through submission, pages by HTTP.

mod check;
mod furnish;
mod house;
mod kept;
mod people;
mod wire;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use crate::cli::{DemoArguments, Place};
use crate::config::Config;
use crate::listen::ListenConfig;
use crate::stop::Stop;
use crate::{exit, say};
use house::House;
use kept::Kept;
use people::Neighbourhood;

/// Runs the demo in its folder until Ctrl-C; with `--check` in a folder of its own, until it has proved itself.
pub(crate) async fn run(place: Place, arguments: DemoArguments) -> Result<()> {
    if place.config.listen != ListenConfig::default() {
        return Err(exit::with(exit::CONFIG, "the demo's three nodes choose their ports themselves: leave out every listen.* setting"));
    }
    let neighbourhood = Neighbourhood::built_in()?;
    let mut stop = Stop::listen()?;
    let passing = arguments.check.then(|| tempfile::Builder::new().prefix("freehold-demo-").tempdir()).transpose();
    let passing = passing.context("no folder for the demo")?;
    let folder = passing.as_ref().map_or(place.data.as_path(), |passing| passing.path());
    let shown = async {
        let mut houses = open(folder, &place.config, &neighbourhood).await?;
        write_json(arguments.json.as_deref(), &houses)?;
        if arguments.check {
            check::run(&neighbourhood, &mut houses).await?;
        }
        Ok::<_, anyhow::Error>(houses)
    };
    let mut houses = tokio::select! {
        houses = shown => houses?,
        // The system tells the nodes when this process has ended; what is half furnished is gone on with next time.
        () = stop.asked() => return Ok(()),
    };
    if arguments.check {
        return Ok(());
    }
    welcome(&houses);
    stay(&mut houses, stop).await
}

/// Brings the houses up, befriended and furnished, and waits until all of it has arrived. Wherever an earlier start was cut off, this
/// one goes on.
async fn open(folder: &Path, config: &Config, neighbourhood: &Neighbourhood) -> Result<Vec<House>> {
    let bar = say::progress("Bringing up three nodes");
    let people = neighbourhood.person.len();
    let pairs = people * people.saturating_sub(1) / 2;
    bar.set_length((3 * people + pairs + neighbourhood.mail.len()) as u64);
    let mut houses = Vec::new();
    for person in &neighbourhood.person {
        houses.push(House::plan(&folder.join(&person.login), person, config)?);
    }
    // Mail between them goes by a route table, and never further.
    let routes: Vec<(String, String)> =
        houses.iter().map(|house| (house.domain(), format!("127.0.0.1:{}", house.ports.smtp.port()))).collect();
    let mut kept = Kept::read(folder);
    for house in &mut houses {
        if house.set_up(&routes, kept.of(&house.login).is_some()).await? {
            let name = &house.name;
            bar.suspend(|| say::line(format!("{name}'s folder was gone: another {name} has moved in, and the others make friends anew.")));
        }
        house.start().await?;
        bar.inc(1);
    }
    furnish::befriend(&houses, &bar).await?;
    for house in &mut houses {
        house.have_app_password(&mut kept).await?;
    }
    furnish::fill(neighbourhood, &houses, &bar).await?;
    furnish::wait(neighbourhood, &houses, &bar).await?;
    bar.finish_and_clear();
    Ok(houses)
}

fn write_json(path: Option<&Path>, houses: &[House]) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let people: Vec<_> = houses.iter().map(House::json).collect();
    let text = serde_json::to_string_pretty(&json!({ "people": people }))?;
    // Whoever waits for the file finds it whole. It holds passwords, so nobody else reads it; one that was left there may be readable.
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    made.and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&temporary, path))
        .with_context(|| format!("can't write {}", path.display()))
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
async fn stay(houses: &mut [House], mut stop: Stop) -> Result<()> {
    let mut look = tokio::time::interval(std::time::Duration::from_millis(500));
    loop {
        tokio::select! {
            () = stop.asked() => break,
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
