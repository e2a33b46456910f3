//! Logs by `tracing`: for people on a terminal, JSON lines otherwise. No message bodies, subjects
//! or addresses are logged anywhere.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. `filter` follows tracing's directives (`info`,
/// `freehold_mail=debug`).
pub(crate) fn start(filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        crate::exit::with(
            crate::exit::CONFIG,
            format!("node.log = {filter:?} is not a log filter: {error}"),
        )
    })?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        let _ = subscriber.with_target(false).compact().try_init();
    } else {
        let _ = subscriber.json().try_init();
    }
    Ok(())
}
