//! Console output: the one module that prints. Write errors are ignored, because the reader of a
//! pipe may have closed it; [`print_flushed`] and [`print_durably`]
//! are the exceptions.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// Prints a line on standard output.
pub(crate) fn print(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// Prints a line on standard output and flushes it.
///
/// # Errors
/// Standard output can't be written. The caller must not go on: nobody has seen the text.
pub(crate) fn print_flushed(text: impl AsRef<str>) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{}", text.as_ref())?;
    out.flush()
}

/// True if the service manager keeps standard output in its log: systemd names the stream's device
/// and inode in `JOURNAL_STREAM`.
pub(crate) fn is_system_log() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    rustix::fs::fstat(std::io::stdout())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Prints a line on standard error, so that messages do not mix with results.
pub(crate) fn eprint(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// [`print_flushed`], and if standard output is a file, syncs it: a full disk may show only then.
///
/// # Errors
/// As [`print_flushed`].
pub(crate) fn print_durably(text: impl AsRef<str>) -> std::io::Result<()> {
    print_flushed(text)?;
    let out = std::io::stdout();
    match rustix::fs::fsync(&out) {
        // Terminals, pipes and sockets can't be synced.
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOTSUP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A progress bar of `len` steps for work of several seconds; drawn only on a terminal.
pub(crate) fn step_bar(label: &'static str, len: usize) -> ProgressBar {
    let bar = ProgressBar::new(len as u64).with_finish(ProgressFinish::AndClear);
    if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len}  {eta}") {
        bar.set_style(style);
    }
    bar.set_message(label);
    bar
}

/// Work that takes less time is not shown.
const SHOWN_AFTER: Duration = Duration::from_secs(1);
/// The pause between two progress lines in the log.
const LOGGED_EVERY: Duration = Duration::from_secs(10);
/// The pause between two progress lines on standard error.
const PRINTED_EVERY: Duration = Duration::from_secs(5);

/// The progress of work that may take long: a bar on a terminal, otherwise lines in the log, and
/// nothing if the work ends within a second.
pub(crate) struct ProgressDisplay {
    bar: ProgressBar,
    /// Whether the lines are printed on standard error, and not logged.
    prints: bool,
    shown: Mutex<Shown>,
}

struct Shown {
    begun: Instant,
    is_drawn: bool,
    logged: Option<Instant>,
}

impl ProgressDisplay {
    /// Starts the clock.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden())
            .with_finish(ProgressFinish::AndClear);
        Self {
            bar,
            prints: false,
            shown: Mutex::new(Shown { begun: Instant::now(), is_drawn: false, logged: None }),
        }
    }

    /// The same, with lines on standard error.
    pub(crate) fn printing() -> Self {
        Self { prints: true, ..Self::new() }
    }

    /// Shows that `done` of `total` items of a step are done. A `total` of zero means unknown: the
    /// items are counted without a bar.
    pub(crate) fn update(&self, step: &str, done: u64, total: u64) {
        let bar = &self.bar;
        let template =
            if total > 0 { "{msg:24} {wide_bar} {pos}/{len}  {eta}" } else { "{msg:24} {pos}" };
        if bar.message() != step || bar.length().is_none_or(|before| (before == 0) != (total == 0))
        {
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(step.to_owned());
            bar.reset_eta();
        }
        // Items may have been added since they were counted.
        bar.set_length(if total > 0 { total.max(done) } else { 0 });
        bar.set_position(done);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.begun.elapsed() < SHOWN_AFTER {
            return;
        }
        if !shown.is_drawn {
            shown.is_drawn = true;
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        // A bar that is still hidden has no terminal.
        let pause = if self.prints { PRINTED_EVERY } else { LOGGED_EVERY };
        if bar.is_hidden() && shown.logged.is_none_or(|at| at.elapsed() >= pause) {
            shown.logged = Some(Instant::now());
            match self.prints {
                true => eprint(format!("{step}: {done} of {total}")),
                false => tracing::info!(step, done, total, "progress"),
            }
        }
    }
}
