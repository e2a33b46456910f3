//! The configuration: a TOML file with a section per crate. Environment variables override the
//! file, and `--set` overrides both.

mod check;
mod explain;

use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::exit;
use crate::listen::ListenConfig;
use check::Override;

/// The output of `freehold config`: every setting with its default and its meaning.
pub(crate) const EXAMPLE: &str = include_str!("../freehold.example.toml");

/// The file's name in the data folder.
pub(crate) const FILE_NAME: &str = "freehold.toml";

/// All settings, by section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The process itself.
    pub(crate) node: NodeConfig,
    /// The addresses to listen on.
    pub(crate) listen: ListenConfig,
    /// The website.
    pub(crate) web: freehold_web::WebConfig,
    /// SMTP and IMAP.
    pub(crate) mail: freehold_mail::MailConfig,
    /// Friends' nodes.
    pub(crate) federation: freehold_federation::FederationConfig,
}

/// The process itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NodeConfig {
    /// The log filter, in the syntax of tracing.
    pub(crate) log: String,
    /// The store's engine: sled or redb.
    pub(crate) engine: String,
    /// Memory the engine may use for its cache, in MiB.
    pub(crate) cache_mib: u64,
    /// Free space under which other people's content is refused, in MiB; computed from the disk's
    /// size if missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) strangers_free_mib: Option<u64>,
    /// The machine's public addresses, for the DNS records of the owner's domain; found by itself
    /// if empty.
    pub(crate) public_addresses: Vec<IpAddr>,
    /// The domain of the authority that may issue certificates for the owner's domain (CAA, RFC
    /// 8659); without one the DNS records name none.
    pub(crate) certificate_authority: String,
    /// Threads that serve; 0 is one per core.
    pub(crate) threads: usize,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            log: "info".to_owned(),
            engine: "sled".to_owned(),
            cache_mib: 8,
            strangers_free_mib: None,
            public_addresses: Vec::new(),
            certificate_authority: String::new(),
            threads: 2,
        }
    }
}

/// Reads the configuration from `file` (or from `freehold.toml` in `data`, if there is one), then
/// from environment variables `FREEHOLD_SECTION_KEY`, then from `sets` (`section.key=value`).
///
/// # Errors
/// A message with file and line, or the variable's or flag's name; then the setting and the reason.
pub(crate) fn load(data: &Path, file: Option<&Path>, sets: &[String]) -> Result<Config> {
    let named = file.map(Path::to_path_buf);
    let path = named.clone().unwrap_or_else(|| data.join(FILE_NAME));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        // If the folder itself is impossible, opening it reports that.
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
                && named.is_none() =>
        {
            String::new()
        }
        Err(error)
            if error.kind() == ErrorKind::PermissionDenied
                && named.is_none()
                && std::fs::read_dir(data).is_err() =>
        {
            let message = format!("can't open {}: another user owns it: {error}", data.display());
            return Err(exit::with(exit::CANT_CREATE, message));
        }
        Err(error) => {
            return Err(exit::with(
                exit::NO_INPUT,
                format!("can't read {}: {error}", path.display()),
            ));
        }
    };
    let mut table = parse(&path, &text)?;
    let mut overrides = Vec::new();
    for (name, value) in std::env::vars_os() {
        // A name that is not UTF-8 can't be one of ours.
        let Some((name, (section, key))) =
            name.to_str().and_then(|name| Some((name, variable(name)?)))
        else {
            continue;
        };
        let value = value.to_str().ok_or_else(|| {
            exit::with(exit::CONFIG, format!("{name}: the value is not UTF-8 text"))
        })?;
        override_setting(&mut table, name, section, &key, value)?;
        overrides.push(Override { section: section.to_owned(), key, source: name.to_owned() });
    }
    for set in sets {
        let Some(((section, key), value)) =
            set.split_once('=').and_then(|(name, value)| Some((name.split_once('.')?, value)))
        else {
            return Err(exit::with(
                exit::USAGE,
                format!("--set takes section.key=value, not {set:?}"),
            ));
        };
        let (section, key) = (section.trim(), key.trim());
        let source = format!("--set {section}.{key}");
        override_setting(&mut table, &source, section, key, value.trim())?;
        overrides.push(Override { section: section.to_owned(), key: key.to_owned(), source });
    }
    let config: Config = table.try_into()?;
    config
        .check()
        .map_err(|refused| exit::with(exit::CONFIG, refused.message(&overrides, &path, &text)))?;
    Ok(config)
}

/// Reads a file alone, without environment variables and flags.
pub(crate) fn read_file(path: &Path) -> Result<Config> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    Ok(parse(path, &text)?.try_into()?)
}

impl Config {
    /// Writes the settings that differ from the defaults to `freehold.toml` in `data`.
    pub(crate) fn save(&self, data: &Path) -> Result<PathBuf> {
        let default = toml::Table::try_from(Self::default())?;
        let mut table = toml::Table::try_from(self)?;
        for (section, settings) in &mut table {
            if let (Some(settings), Some(default)) =
                (settings.as_table_mut(), default.get(section).and_then(|s| s.as_table()))
            {
                settings.retain(|key, value| default.get(key) != Some(value));
            }
        }
        table.retain(|_, settings| settings.as_table().is_none_or(|s| !s.is_empty()));
        let path = data.join(FILE_NAME);
        let text = format!(
            "# Settings that differ from the defaults; `freehold config` prints all \
             settings.\n\n{}",
            toml::to_string(&table)?
        );
        // Written to a new file and renamed: a truncated file would keep the node from starting.
        let new = path.with_extension("new");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &path))
            .with_context(|| format!("can't write {}", path.display()))?;
        Ok(path)
    }
}

/// Parses a file. An error has the line, the setting and the reason.
fn parse(path: &Path, text: &str) -> Result<toml::Table> {
    let invalid = |error: &toml::de::Error| {
        let line = error
            .span()
            .map_or(0, |span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
        let setting = error
            .span()
            .and_then(|span| setting_at(text.get(..span.start)?, text.get(span.start..)?));
        let message = explain::message(
            error.message(),
            setting.as_ref().map(|(section, key)| (section.as_str(), key.as_str())),
        );
        exit::with(exit::CONFIG, format!("{}, line {line}: {message}", path.display()))
    };
    // Deserialized first: only this error has the line of an unknown or ill-typed setting.
    toml::from_str::<Config>(text).map_err(|error| invalid(&error))?;
    text.parse::<toml::Table>().map_err(|error| invalid(&error))
}

/// Section and key of the setting at a position, given the file's text before and after it.
fn setting_at(before: &str, after: &str) -> Option<(String, String)> {
    let section = before
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix('[')?.split(']').next().map(str::to_owned))?;
    let line = before.rsplit('\n').next().unwrap_or_default().to_owned()
        + after.lines().next().unwrap_or_default();
    let (key, _) = line.split_once('=')?;
    Some((section.trim().to_owned(), key.trim().to_owned()))
}

/// Section and key of an environment variable: `FREEHOLD_WEB_TLS` is section `web`, key `tls`.
fn variable(name: &str) -> Option<(&'static str, String)> {
    let rest = name.strip_prefix("FREEHOLD_")?;
    ["node", "listen", "web", "mail", "federation"].into_iter().find_map(|section| {
        let key = rest.strip_prefix(&section.to_uppercase())?.strip_prefix('_')?;
        Some((section, key.to_lowercase()))
    })
}

/// Sets one setting. `source` is the variable or flag, for the error.
fn override_setting(
    table: &mut toml::Table,
    source: &str,
    section: &str,
    key: &str,
    value: &str,
) -> Result<()> {
    // A value that is TOML (7, true, ["a"]) is read as TOML, any other as a string.
    let parsed =
        format!("value = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("value"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let settings = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let Some(settings) = settings.as_table_mut() {
        settings.insert(key.to_owned(), value);
    }
    let invalid = |error: toml::de::Error| {
        exit::with(
            exit::CONFIG,
            format!("{source}: {}", explain::message(error.message(), Some((section, key)))),
        )
    };
    table.clone().try_into::<Config>().map(drop).map_err(invalid)
}

/// The default data folder: `$XDG_DATA_HOME/freehold`, or `~/.local/share/freehold`.
pub(crate) fn data_default() -> PathBuf {
    let base = std::env::var_os("XDG_DATA_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    base.or_else(home).unwrap_or_default().join("freehold")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str, sets: &[&str]) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
        load(folder.path(), None, &sets.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn missing_file_means_default_settings() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path(), None, &[]).unwrap(), Config::default());
    }

    #[test]
    fn error_in_file_has_its_line_number() {
        let error = load_text("[node]\nlog = \"info\"\nengine = 7\n", &[]).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("node.engine"), "{error}");
        let error = load_text("[node]\nlgo = \"info\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("lgo"), "{error}");
        let error = load_text("[node\n", &[]).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }

    #[test]
    fn removed_setting_is_refused_with_its_line() {
        for key in ["upnp", "local_discovery"] {
            let text = format!("[federation]\ntcp = true\n{key} = false\n");
            let error = load_text(&text, &[]).unwrap_err();
            assert!(exit::code(&error) == exit::CONFIG, "{error}");
            let expected = format!("line 3: the setting federation.{key} no longer exists");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }

    #[test]
    fn unknown_engine_is_refused() {
        let error = load_text("[node]\nengine = \"rocks\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("node.engine") && error.contains("\"redb\""), "{error}");
    }

    #[test]
    fn https_public_url_without_tls_or_proxy_is_refused() {
        let error = load_text("[web]\npublic_url = \"https://ruth.example\"\n", &[])
            .unwrap_err()
            .to_string();
        assert!(error.contains("web.tls") && error.contains("web.trusted_proxies"), "{error}");
        let proxied = load_text(
            "",
            &["web.public_url=https://ruth.example", "web.trusted_proxies=[\"127.0.0.1\"]"],
        )
        .unwrap();
        assert_eq!(proxied.web.trusted_proxies, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    }

    #[test]
    fn flag_overrides_the_file() {
        let config = load_text(
            "[node]\nlog = \"info\"\n",
            &["node.log=warn", "node.threads=1", "listen.web=127.0.0.1:9"],
        )
        .unwrap();
        assert_eq!(
            (config.node.log.as_str(), config.node.threads, config.listen.web.port()),
            ("warn", 1, 9)
        );
    }

    #[test]
    fn invalid_flag_is_named_in_the_error() {
        let error = |set: &str| load_text("", &[set]).unwrap_err().to_string();
        assert!(
            error("node.threads=many").starts_with("--set node.threads: "),
            "{}",
            error("node.threads=many")
        );
        assert!(error("node.lgo=info").contains("lgo"), "{}", error("node.lgo=info"));
        assert!(error("nobody.log=info").contains("nobody"), "{}", error("nobody.log=info"));
        assert!(error("node.log").contains("section.key=value"), "{}", error("node.log"));
        assert!(
            error("federation.upnp=false").starts_with("--set federation.upnp: the setting"),
            "{}",
            error("federation.upnp=false")
        );
        assert!(
            error("mail.routes=bob.example").starts_with("--set mail.routes: "),
            "{}",
            error("mail.routes=bob.example")
        );
    }

    #[test]
    fn flag_sets_a_whole_table() {
        let config =
            load_text("", &["mail.routes={ \"bob.example\" = \"127.0.0.1:7125\" }"]).unwrap();
        assert_eq!(
            config.mail.routes.get("bob.example").map(String::as_str),
            Some("127.0.0.1:7125")
        );
    }

    #[test]
    fn saved_config_loads_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { listen: ListenConfig::free(&[]).unwrap(), ..Config::default() };
        config.save(folder.path()).unwrap();
        assert_eq!(load(folder.path(), None, &[]).unwrap(), config);
    }

    /// The settings of the example, with their comment signs removed.
    fn example() -> toml::Table {
        let settings = |line: &str| match line.strip_prefix("# ") {
            Some(rest)
                if rest.split_once(" = ").is_some_and(|(key, _)| {
                    key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
                }) =>
            {
                rest.to_owned()
            }
            _ => line.to_owned(),
        };
        EXAMPLE.lines().map(settings).collect::<Vec<_>>().join("\n").parse().unwrap()
    }

    #[test]
    fn example_config_has_the_default_values() {
        assert_eq!(example(), toml::Table::try_from(Config::default()).unwrap());
    }
}
