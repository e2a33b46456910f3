//! `freehold demo`: three people's nodes on this machine, each a process of its own, befriended and furnished.
//!
//! Everything is done through the same doors a person uses: commands through the control socket,
//! mail through submission, pages by HTTP.

mod check;
mod furnish;
mod house;
mod kept;
mod people;
mod told;
mod wire;

use std::fs::{File, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::cli::{DemoArguments, Place};
use crate::config::Config;
use crate::listen::ListenConfig;
use crate::stop::Stop;
use crate::{exit, say};
use house::House;
use people::Neighbourhood;
use told::Told;

/// Runs the demo in its folder until Ctrl-C; with `--check` in a folder of its own, until it has
/// proved itself.
pub(crate) async fn run(place: Place, arguments: DemoArguments) -> Result<()> {
    if place.config.listen != ListenConfig::default() {
        return Err(exit::with(
            exit::CONFIG,
            "the demo's three nodes choose their ports themselves: leave out every listen.* setting",
        ));
    }
    let neighbourhood = Neighbourhood::built_in()?;
    let mut stop = Stop::listen()?;
    let passing = arguments
        .check
        .then(|| tempfile::Builder::new().prefix("freehold-demo-").tempdir())
        .transpose();
    let passing = passing.context("no folder for the demo")?;
    let folder = passing.as_ref().map_or(place.data.as_path(), |passing| passing.path());
    let _claim = claim(folder)?;
    let told = arguments.json.as_deref().map(Told::at).transpose()?;
    let shown = async {
        let mut houses = open(folder, &place.config, &neighbourhood).await?;
        if let Some(told) = &told {
            let mut people = Vec::new();
            for house in &houses {
                people.push(house.json().await?);
            }
            told.write(&people)?;
        }
        if arguments.check {
            check::run(&neighbourhood, &mut houses).await?;
        }
        Ok::<_, anyhow::Error>(houses)
    };
    let mut houses = tokio::select! {
        houses = shown => houses?,
        // The system tells the nodes when this process has ended; what is half furnished is gone on
        // with next time.
        () = stop.asked() => return Ok(()),
    };
    if arguments.check {
        return Ok(());
    }
    welcome(folder, &houses);
    stay(&mut houses, stop).await
}

/// Makes the folder and claims it for this demo: two at once would furnish the same houses.
fn claim(folder: &Path) -> Result<File> {
    let cant = |error: std::io::Error| {
        exit::with(
            exit::CANT_CREATE,
            format!("the folder {} can't be written: {error}", folder.display()),
        )
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cant)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("demo.lock"))
        .map_err(cant)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let said = format!(
                "a demo is already running in {}; stop it first, or name another folder with --data",
                folder.display()
            );
            Err(exit::with(exit::UNAVAILABLE, said))
        }
        Err(TryLockError::Error(error)) => Err(cant(error)),
    }
}

/// Brings the houses up, befriended and furnished, and waits until all of it has arrived. Wherever
/// an earlier start was cut off, this one goes on; what was given once is not given again.
async fn open(folder: &Path, config: &Config, neighbourhood: &Neighbourhood) -> Result<Vec<House>> {
    let people = neighbourhood.person.len();
    let pairs = people * people.saturating_sub(1) / 2;
    let bar =
        say::progress("Bringing up three nodes", 3 * people + pairs + neighbourhood.mail.len());
    let mut houses = Vec::new();
    for person in &neighbourhood.person {
        houses.push(House::plan(&folder.join(&person.login), person, config)?);
    }
    // Mail between them goes by a route table, and never further.
    let routes: Vec<(String, String)> = houses
        .iter()
        .map(|house| (house.domain(), format!("127.0.0.1:{}", house.ports.smtp.port())))
        .collect();
    for house in &mut houses {
        house.open(&routes).await?;
        bar.inc(1);
    }
    furnish::befriend(&mut houses, &bar).await?;
    for house in &mut houses {
        house.have_app_password().await?;
    }
    let sent = furnish::fill(neighbourhood, &mut houses, &bar).await?;
    furnish::wait(&mut houses, &sent, &bar).await?;
    bar.finish_and_clear();
    Ok(houses)
}

fn welcome(folder: &Path, houses: &[House]) {
    say::line("\nThree people live on this machine now, each in a house of their own.\n");
    let web: Vec<u16> = houses.iter().map(|house| house.ports.web.port()).collect();
    if let Some(line) = crate::welcome::tunnel(&web) {
        say::line(format!(
            "This looks like a machine you reached by ssh. On your own computer, first run:\n\n  {line}\n"
        ));
    }
    for house in houses {
        let process = house.pid().unwrap_or_default();
        say::line(format!(
            "  {:14} {}   (or http://127.0.0.1:{}/)",
            house.name,
            house.url(),
            house.ports.web.port()
        ));
        say::line(format!("  {:14} password  {}", "", house.password));
        say::line(format!(
            "  {:14} mail      {}  app password  {}",
            "",
            house.address(),
            house.app_password()
        ));
        if house.is_alone() {
            say::line(format!("  {:14} process   {process}, which was running already\n", ""));
        } else {
            say::line(format!(
                "  {:14} process   {process}  starts again with: {}\n",
                "",
                house.start_line()
            ));
        }
    }
    if let Some(house) = houses.first() {
        say::line("Send a mail and read it, as Alice:\n");
        let user = format!("{}:{}", house.address(), house.app_password());
        for line in
            crate::welcome::mail_lines(&house.address(), &user, &house.ports, &house.certificate())
        {
            say::line(format!("  {line}"));
        }
    }
    say::line(format!(
        "\nAll of it is in {}; when that folder is removed, the demo is gone.",
        folder.display()
    ));
    let kept = "What they have is kept; the same command goes on from there.";
    if houses.iter().any(House::is_alone) {
        say::line(format!("Ctrl-C stops the nodes that were started here. {kept}"));
    } else {
        say::line(format!("Ctrl-C stops all three. {kept}"));
    }
}

/// Stays until Ctrl-C or SIGTERM, then stops the houses; says so when one ends by itself.
async fn stay(houses: &mut [House], mut stop: Stop) -> Result<()> {
    let mut look = tokio::time::interval(std::time::Duration::from_millis(500));
    loop {
        tokio::select! {
            biased;
            () = stop.asked() => break,
            _ = look.tick() => {
                for house in houses.iter_mut().filter_map(|house| house.ended().then_some(house)) {
                    say::line(format!("{}'s node has ended. It starts again with: {}", house.name, house.start_line()));
                }
            }
        }
    }
    houses.iter().for_each(House::ask_to_stop);
    for house in houses.iter_mut() {
        house.stop().await?;
        // Somebody started it by the printed line, and may be in the middle of something.
        if let Some(process) = house.stays().await {
            say::line(format!(
                "{}'s node was not started here and goes on. It stops with: kill {process}",
                house.name
            ));
        }
    }
    Ok(())
}
