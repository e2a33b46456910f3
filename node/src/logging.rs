//! Logs by `tracing`: text on a terminal, JSON lines otherwise. Message bodies, subjects and
//! addresses are never logged.

use std::io::IsTerminal;

use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::prelude::*;

/// Starts logging to standard error. `filter` has tracing's syntax: a level (`info`), or levels by
/// crate (`info,freehold_mail=debug`).
pub(crate) fn start(filter: &str) -> anyhow::Result<()> {
    let targets = targets(filter).map_err(|error| {
        crate::exit::with(
            crate::exit::CONFIG,
            format!("node.log: {filter:?} is not a log filter: {error}; a good value is \"info\""),
        )
    })?;
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        let _ = registry.with(layer.with_target(false).compact()).try_init();
    } else {
        let _ = registry.with(layer.json()).try_init();
    }
    Ok(())
}

/// Parses the directives in `filter`. Empty ones, as after a trailing comma, are left out:
/// [`Targets`] would read them as the level `error`.
fn targets(filter: &str) -> Result<Targets, ParseError> {
    let directives: Vec<&str> =
        filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
    directives.join(",").parse()
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::*;

    #[test]
    fn log_filter_sets_levels_by_crate() {
        let targets = targets("info, freehold_mail=debug,").unwrap();
        assert_eq!(targets.default_level(), Some(LevelFilter::INFO));
        assert!(targets.would_enable("freehold_mail::queue", &tracing::Level::DEBUG));
        assert!(!targets.would_enable("freehold_web", &tracing::Level::DEBUG));
    }

    #[test]
    fn empty_log_filter_shows_errors() {
        assert_eq!(targets("").unwrap().default_level(), Some(LevelFilter::ERROR));
    }

    #[test]
    fn unknown_log_level_is_refused() {
        assert!(targets("freehold=loud").is_err());
    }
}
