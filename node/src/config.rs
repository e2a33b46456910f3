//! The configuration: one TOML file, a section per crate, each defined where it is used;
//! environment and flags override it.

mod wrong;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::exit;
use crate::listen::ListenConfig;

/// The example that `freehold config` prints: every setting at its default, with what it means.
pub(crate) const EXAMPLE: &str = include_str!("../freehold.example.toml");

/// The file's name in the data folder.
pub(crate) const FILE_NAME: &str = "freehold.toml";

/// What can be configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// The process itself.
    pub(crate) node: NodeConfig,
    /// Where it listens.
    pub(crate) listen: ListenConfig,
    /// What people see.
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
    /// What is logged.
    pub(crate) log: String,
    /// The store's engine: sled or redb.
    pub(crate) engine: String,
    /// Memory the engine may use for its cache, in MiB.
    pub(crate) cache_mib: u64,
    /// Threads that serve; 0 is one per core.
    pub(crate) threads: usize,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self { log: "info".to_owned(), engine: "sled".to_owned(), cache_mib: 8, threads: 2 }
    }
}

/// Reads the configuration: `file` (or `freehold.toml` in `data`, if it is there), then the
/// environment's
/// `FREEHOLD_SECTION_KEY`, then `sets` (`section.key=value`).
pub(crate) fn load(data: &Path, file: Option<&Path>, sets: &[String]) -> Result<Config> {
    let named = file.map(Path::to_path_buf);
    let path = named.clone().unwrap_or_else(|| data.join(FILE_NAME));
    let mut table = match std::fs::read_to_string(&path) {
        Ok(text) => parse(&path, &text)?,
        // Where the folder itself can't be, that is what is to be said, when it is opened.
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
                && named.is_none() =>
        {
            toml::Table::new()
        }
        Err(error)
            if error.kind() == ErrorKind::PermissionDenied
                && named.is_none()
                && std::fs::read_dir(data).is_err() =>
        {
            let said =
                format!("can't open {}: the folder is another user's: {error}", data.display());
            return Err(exit::with(exit::CANT_CREATE, said));
        }
        Err(error) => {
            return Err(exit::with(
                exit::NO_INPUT,
                format!("can't read {}: {error}", path.display()),
            ));
        }
    };
    for (name, value) in std::env::vars_os() {
        // A name that is no text is somebody else's.
        let Some((name, (section, key))) =
            name.to_str().and_then(|name| Some((name, variable(name)?)))
        else {
            continue;
        };
        let value = value.to_str().ok_or_else(|| {
            exit::with(exit::CONFIG, format!("{name}: its value is no UTF-8 text"))
        })?;
        put(&mut table, name, section, &key, value)?;
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
        put(
            &mut table,
            &format!("--set {section}.{key}"),
            section.trim(),
            key.trim(),
            value.trim(),
        )?;
    }
    let config: Config = table.try_into()?;
    config.check()?;
    Ok(config)
}

/// What a file says, and nothing else: no environment, no flags.
pub(crate) fn of_file(path: &Path) -> Result<Config> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    Ok(parse(path, &text)?.try_into()?)
}

impl Config {
    fn check(&self) -> Result<()> {
        if !["sled", "redb"].contains(&self.node.engine.as_str()) {
            let said =
                format!("node.engine is {:?}; it can be \"sled\" or \"redb\"", self.node.engine);
            return Err(exit::with(exit::CONFIG, said));
        }
        self.web.check().map_err(|error| exit::with(exit::CONFIG, error.to_string()))
    }

    /// Writes the settings that differ from the defaults to `freehold.toml` in `data`, for a node
    /// that others set up.
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
            "# What differs from the defaults; `freehold config` prints all settings.\n\n{}",
            toml::to_string(&table)?
        );
        // Whole or not at all: half a file would keep the node from starting.
        let new = path.with_extension("new");
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &path))
            .with_context(|| format!("can't write {}", path.display()))?;
        Ok(path)
    }
}

/// The table in a file; what is wrong is said with its line.
fn parse(path: &Path, text: &str) -> Result<toml::Table> {
    let wrong = |error: &toml::de::Error| {
        let line = error
            .span()
            .map_or(0, |span| text.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1);
        let place =
            error.span().and_then(|span| place(text.get(..span.start)?, text.get(span.start..)?));
        let said = wrong::sentence(
            error.message(),
            place.as_ref().map(|(section, key)| (section.as_str(), key.as_str())),
        );
        exit::with(exit::CONFIG, format!("{}, line {line}: {said}", path.display()))
    };
    // Read as a whole configuration first: only then does an unknown or ill-typed setting know its
    // line.
    toml::from_str::<Config>(text).map_err(|error| wrong(&error))?;
    text.parse::<toml::Table>().map_err(|error| wrong(&error))
}

/// The setting, with its section, that stands where a file's `before` ends and its `after` begins.
fn place(before: &str, after: &str) -> Option<(String, String)> {
    let section = before
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix('[')?.split(']').next().map(str::to_owned))?;
    let line = before.rsplit('\n').next().unwrap_or_default().to_owned()
        + after.lines().next().unwrap_or_default();
    let (key, _) = line.split_once('=')?;
    Some((section.trim().to_owned(), key.trim().to_owned()))
}

/// `FREEHOLD_WEB_TITLE` is section `web`, key `title`.
fn variable(name: &str) -> Option<(&'static str, String)> {
    let rest = name.strip_prefix("FREEHOLD_")?;
    ["node", "listen", "web", "mail", "federation"].into_iter().find_map(|section| {
        let key = rest.strip_prefix(&section.to_uppercase())?.strip_prefix('_')?;
        Some((section, key.to_lowercase()))
    })
}

/// Puts one setting over those there are; what is wrong with it is said under the name it was
/// `given` by.
fn put(table: &mut toml::Table, given: &str, section: &str, key: &str, value: &str) -> Result<()> {
    // A value is read as TOML where it is TOML (7, true, ["a"]), and as plain text otherwise.
    let parsed =
        format!("value = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("value"));
    let value = parsed.unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let settings = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let Some(settings) = settings.as_table_mut() {
        settings.insert(key.to_owned(), value);
    }
    let wrong = |error: toml::de::Error| {
        exit::with(
            exit::CONFIG,
            format!("{given}: {}", wrong::sentence(error.message(), Some((section, key)))),
        )
    };
    table.clone().try_into::<Config>().map(drop).map_err(wrong)
}

/// Where the data is if nobody says: `$XDG_DATA_HOME/freehold`, or `~/.local/share/freehold`.
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
    fn no_file_is_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(load(folder.path(), None, &[]).unwrap(), Config::default());
    }

    #[test]
    fn a_broken_line_is_named() {
        let said = load_text("[node]\nlog = \"info\"\nengine = 7\n", &[]).unwrap_err().to_string();
        assert!(said.contains("line 3"), "{said}");
        let said = load_text("[node]\nlgo = \"info\"\n", &[]).unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("lgo"), "{said}");
        let said = load_text("[node\n", &[]).unwrap_err().to_string();
        assert!(said.contains("line 1"), "{said}");
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
    fn an_unknown_engine_is_refused() {
        let said = load_text("[node]\nengine = \"rocks\"\n", &[]).unwrap_err().to_string();
        assert!(said.contains("\"sled\" or \"redb\""), "{said}");
    }

    #[test]
    fn an_address_that_promises_what_nobody_keeps_is_refused() {
        let said = load_text("[web]\npublic_url = \"https://ruth.example\"\n", &[])
            .unwrap_err()
            .to_string();
        assert!(said.contains("web.tls") && said.contains("web.trusted_proxies"), "{said}");
        let proxied = load_text(
            "",
            &["web.public_url=https://ruth.example", "web.trusted_proxies=[\"127.0.0.1\"]"],
        )
        .unwrap();
        assert_eq!(proxied.web.trusted_proxies, ["127.0.0.1".parse::<std::net::IpAddr>().unwrap()]);
    }

    #[test]
    fn a_flag_overrides_the_file() {
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
    fn a_wrong_flag_is_named() {
        let said = |set: &str| load_text("", &[set]).unwrap_err().to_string();
        assert!(
            said("node.threads=many").starts_with("--set node.threads: "),
            "{}",
            said("node.threads=many")
        );
        assert!(said("node.lgo=info").contains("lgo"), "{}", said("node.lgo=info"));
        assert!(said("nobody.log=info").contains("nobody"), "{}", said("nobody.log=info"));
        assert!(said("node.log").contains("section.key=value"), "{}", said("node.log"));
        assert!(
            said("federation.upnp=false").starts_with("--set federation.upnp: the setting"),
            "{}",
            said("federation.upnp=false")
        );
        assert!(
            said("mail.routes=bob.example").starts_with("--set mail.routes: "),
            "{}",
            said("mail.routes=bob.example")
        );
    }

    #[test]
    fn a_table_is_set_as_a_whole() {
        let config =
            load_text("", &["mail.routes={ \"bob.example\" = \"127.0.0.1:7125\" }"]).unwrap();
        assert_eq!(
            config.mail.routes.get("bob.example").map(String::as_str),
            Some("127.0.0.1:7125")
        );
    }

    #[test]
    fn what_is_saved_is_what_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { listen: ListenConfig::free().unwrap(), ..Config::default() };
        config.save(folder.path()).unwrap();
        assert_eq!(load(folder.path(), None, &[]).unwrap(), config);
    }

    /// The example's settings, uncommented.
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
    fn the_commented_example_says_the_defaults() {
        assert_eq!(example(), toml::Table::try_from(Config::default()).unwrap());
    }
}
