//! Settings that have the right type and that no node works with. The error names the setting's
//! place: the variable or flag that set it, or the line of the file.

use std::path::Path;

use super::Config;

/// The most memory for the engine's cache, in MiB (1 TiB).
const CACHE_MIB_MAX: u64 = 1 << 20;
/// The most worker threads.
const THREADS_MAX: usize = 1024;

/// A setting that is refused.
pub(super) struct Refused {
    section: &'static str,
    key: &'static str,
    /// The entry of a table.
    entry: Option<String>,
    reason: String,
}

/// Where a setting was overridden.
pub(super) struct Override {
    pub(super) section: String,
    pub(super) key: String,
    /// The variable or flag.
    pub(super) source: String,
}

impl Config {
    /// Checks the values of all settings.
    pub(super) fn check(&self) -> Result<(), Refused> {
        let refused = |section, key, reason: String| Refused { section, key, entry: None, reason };
        let node = &self.node;
        if !["sled", "redb"].contains(&node.engine.as_str()) {
            let reason = format!("{:?} is not an engine; use \"sled\" or \"redb\"", node.engine);
            return Err(refused("node", "engine", reason));
        }
        if !(1..=CACHE_MIB_MAX).contains(&node.cache_mib) {
            let reason = format!(
                "{} is not between 1 and {CACHE_MIB_MAX} MiB; a good value is 8",
                node.cache_mib
            );
            return Err(refused("node", "cache_mib", reason));
        }
        if node.threads > THREADS_MAX {
            let reason = format!(
                "{} is more than {THREADS_MAX}; a good value is 2, or 0 for one per core",
                node.threads
            );
            return Err(refused("node", "threads", reason));
        }
        self.web.check().map_err(|error| refused("web", error.key(), error.to_string()))?;
        self.mail.check().map_err(|error| {
            let (key, entry) = error.key();
            Refused { entry: entry.map(str::to_owned), ..refused("mail", key, error.to_string()) }
        })?;
        self.federation
            .check()
            .map_err(|error| refused("federation", error.key(), error.to_string()))
    }
}

impl Refused {
    /// The whole message. `path` and `text` are the file, if there is one.
    pub(super) fn message(&self, overrides: &[Override], path: &Path, text: &str) -> String {
        let Self { section, key, reason, .. } = self;
        let is_same = |other: &&Override| other.section == *section && other.key == *key;
        if let Some(set) = overrides.iter().rev().find(is_same) {
            // A flag's source ends with the setting's name.
            return match set.source.ends_with(&format!("{section}.{key}")) {
                true => format!("{}: {reason}", set.source),
                false => format!("{}: {section}.{key}: {reason}", set.source),
            };
        }
        match self.line(text) {
            Some(line) => format!("{}, line {line}: {section}.{key}: {reason}", path.display()),
            None => format!("{section}.{key}: {reason}"),
        }
    }

    /// The number of the line that sets it.
    fn line(&self, text: &str) -> Option<usize> {
        let (mut section, mut table_line) = (String::new(), None);
        let table = format!("{}.{}", self.section, self.key);
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
                header.trim().clone_into(&mut section);
                continue;
            }
            let Some((name, _)) = line.split_once('=') else { continue };
            let name = name.trim().trim_matches(['"', '\'']);
            let is_setting = section == self.section && name == self.key;
            if section == table {
                if self.entry.as_deref() == Some(name) {
                    return Some(index + 1);
                }
                table_line.get_or_insert(index + 1);
            } else if is_setting || (section.is_empty() && name == table) {
                return Some(index + 1);
            }
        }
        table_line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str, overrides: &[Override]) -> String {
        let config: Config = toml::from_str(text).unwrap();
        let Err(refused) = config.check() else { panic!("{text} is accepted") };
        refused.message(overrides, Path::new("f.toml"), text)
    }

    #[test]
    fn unusable_value_is_named_with_its_line() {
        for (text, place) in [
            ("[node]\n\ncache_mib = 0\n", "f.toml, line 3: node.cache_mib: "),
            ("[node]\nthreads = 9999\n", "f.toml, line 2: node.threads: "),
            ("[web]\n# names\nnames = [\"*.a.example\"]\n", "f.toml, line 3: web.names: "),
            ("[mail]\nmessage_len_max = 0\n", "f.toml, line 2: mail.message_len_max: "),
            (
                "[node]\n[mail]\n smtp_idle_timeout_secs=0\n",
                "f.toml, line 3: mail.smtp_idle_timeout_secs: ",
            ),
            (
                "[mail.routes]\n\"a.example\" = \"a:25\"\n\"b.example\" = \"b\"\n",
                "f.toml, line 3: mail.routes: ",
            ),
            ("[mail]\nroutes = { \"b.example\" = \"b\" }\n", "f.toml, line 2: mail.routes: "),
            ("mail.hostname = \"a b\"\n", "f.toml, line 1: mail.hostname: "),
            ("[federation]\nstrangers_max = 0\n", "f.toml, line 2: federation.strangers_max: "),
        ] {
            let message = message(text, &[]);
            assert!(message.starts_with(place), "{message}");
        }
    }

    #[test]
    fn unusable_override_is_named_by_its_source() {
        let text = "[mail]\nretry_hours_max = 0\n";
        for (source, expected) in [
            ("--set mail.retry_hours_max", "--set mail.retry_hours_max: 0 is not"),
            (
                "FREEHOLD_MAIL_RETRY_HOURS_MAX",
                "FREEHOLD_MAIL_RETRY_HOURS_MAX: mail.retry_hours_max: 0 is not",
            ),
        ] {
            let set = Override {
                section: "mail".to_owned(),
                key: "retry_hours_max".to_owned(),
                source: source.to_owned(),
            };
            let message = message(text, &[set]);
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
