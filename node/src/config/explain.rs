//! Error messages for settings: the setting's name, the reason, and a valid value.

use super::Config;

/// Settings of earlier versions (section and key), with advice for users who still have them.
const REMOVED: [(&str, &str, &str); 2] = [
    ("federation", "upnp", "delete it and forward the port in the router's own settings"),
    ("federation", "local_discovery", "delete it; friends are found by the addresses they give"),
];

/// The message for a parser's error. `setting` is section and key, where they are known.
pub(super) fn message(error: &str, setting: Option<(&str, &str)>) -> String {
    let error = error.trim().replace('\n', " ");
    let names: Vec<&str> = error.split('`').skip(1).step_by(2).collect();
    if let (true, Some((unknown, known))) =
        (error.starts_with("unknown field"), names.split_first())
    {
        let removed = REMOVED.iter().find(|(section, key, _)| Some((*section, *key)) == setting);
        if let Some((section, key, advice)) = removed {
            return format!("the setting {section}.{key} no longer exists: {advice}");
        }
        let known = known.join(", ");
        return match known.starts_with("node, listen") {
            true => format!("there is no section [{unknown}]; the sections are {known}"),
            false => format!("there is no setting `{unknown}` in this section; there are {known}"),
        };
    }
    let Some((section, key)) = setting else { return error };
    match default_value(section, key) {
        Some(value) => format!("{section}.{key}: {error}; a good value is {value}"),
        None => format!("{section}.{key}: {error}"),
    }
}

/// A setting's default, in TOML.
fn default_value(section: &str, key: &str) -> Option<String> {
    let all = toml::Table::try_from(Config::default()).ok()?;
    Some(all.get(section)?.get(key)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_has_setting_reason_and_valid_value() {
        let unknown =
            message("unknown field `nde`, expected one of `node`, `listen`, `web`\n", None);
        assert_eq!(unknown, "there is no section [nde]; the sections are node, listen, web");
        let unknown =
            message("unknown field `lgo`, expected one of `log`, `engine`", Some(("node", "lgo")));
        assert_eq!(unknown, "there is no setting `lgo` in this section; there are log, engine");
        let invalid =
            message("invalid type: integer `7`, expected a string", Some(("node", "engine")));
        assert_eq!(
            invalid,
            "node.engine: invalid type: integer `7`, expected a string; a good value is \"sled\""
        );
        let invalid =
            message("invalid type: integer `7`, expected a string", Some(("web", "public_url")));
        assert_eq!(invalid, "web.public_url: invalid type: integer `7`, expected a string");
        assert_eq!(message("unclosed table", None), "unclosed table");
    }

    #[test]
    fn removed_setting_is_reported_as_removed() {
        for (section, key, advice) in REMOVED {
            let unknown = format!("unknown field `{key}`, expected one of `tcp`, `quic`");
            let text = message(&unknown, Some((section, key)));
            assert_eq!(text, format!("the setting {section}.{key} no longer exists: {advice}"));
            // A setting of the present version must not be listed as removed.
            assert_eq!(default_value(section, key), None);
        }
    }
}
