//! The one place that prints for people. What goes to a program's pipe and is no longer wanted
//! there is dropped quietly.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// Prints a line on standard output.
pub(crate) fn line(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout(), "{}", text.as_ref());
}

/// Prints what must be seen before anything else is done.
pub(crate) fn surely(text: impl AsRef<str>) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{}", text.as_ref())?;
    out.flush()
}

/// Prints a line on standard error, where remarks do not mix with results.
pub(crate) fn aside(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// A bar for work that takes several seconds; drawn only on a terminal.
pub(crate) fn progress(what: &'static str, len: usize) -> ProgressBar {
    let bar = ProgressBar::new(len as u64).with_finish(ProgressFinish::AndClear);
    if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len}  {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// Before work has taken so long there is nothing to be said of it.
const SAID_AFTER: Duration = Duration::from_secs(1);
/// How often the log says how far it is.
const LOGGED_EVERY: Duration = Duration::from_secs(10);

/// How far work is that may take long: a bar on a terminal, else lines in the log; nothing if it is
/// done within a second.
pub(crate) struct Bar {
    bar: ProgressBar,
    said: Mutex<Said>,
}

struct Said {
    begun: Instant,
    is_drawn: bool,
    logged: Option<Instant>,
}

impl Bar {
    /// The work begins now.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden())
            .with_finish(ProgressFinish::AndClear);
        Self {
            bar,
            said: Mutex::new(Said { begun: Instant::now(), is_drawn: false, logged: None }),
        }
    }

    /// Says how far a step is: of how many, or just how many where nobody knows where it ends
    /// (zero).
    pub(crate) fn far(&self, step: &str, done: u64, total: u64) {
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
        // More may have come since they were counted.
        bar.set_length(if total > 0 { total.max(done) } else { 0 });
        bar.set_position(done);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.begun.elapsed() < SAID_AFTER {
            return;
        }
        if !said.is_drawn {
            said.is_drawn = true;
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        // Hidden still: there is no terminal to draw it on.
        if bar.is_hidden() && said.logged.is_none_or(|at| at.elapsed() >= LOGGED_EVERY) {
            said.logged = Some(Instant::now());
            tracing::info!(step, done, total, "under way");
        }
    }
}
