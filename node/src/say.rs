//! The one place that prints for people. What goes to a program's pipe and is no longer wanted there is dropped quietly.

use std::io::Write;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

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

/// A bar for work that may take over a second; drawn only on a terminal.
pub(crate) fn progress(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_finish(ProgressFinish::AndClear);
    if let Ok(style) = ProgressStyle::with_template("{msg:24} {wide_bar} {pos}/{len}  {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// Says in `bar` how far a step is: of how many, or just how many where nobody knows where it ends.
pub(crate) fn far(bar: &ProgressBar, step: &str, done: u64, total: u64) {
    let template = if total > 0 { "{msg:24} {wide_bar} {pos}/{len}  {eta}" } else { "{msg:24} {pos}" };
    if bar.message() != step || bar.length().is_none_or(|before| (before == 0) != (total == 0)) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(step.to_owned());
        bar.reset_eta();
    }
    // More may have come since they were counted.
    bar.set_length(if total > 0 { total.max(done) } else { 0 });
    bar.set_position(done);
}
