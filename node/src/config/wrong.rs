//! What is wrong with a setting, in words that help: the setting's name and a value it could have.

use super::Config;

/// Settings of earlier versions (section and key), with the advice for those who still have them.
const REMOVED: [(&str, &str, &str); 2] = [
    ("federation", "upnp", "delete it and forward the port in the router's own settings"),
    ("federation", "local_discovery", "delete it; friends are found by the addresses they give"),
];

/// The sentence for what the parser says of the setting at `place` (section and key, where they are
/// known).
pub(super) fn sentence(said: &str, place: Option<(&str, &str)>) -> String {
    let said = said.trim().replace('\n', " ");
    let names: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    if let (true, Some((unknown, known))) = (said.starts_with("unknown field"), names.split_first())
    {
        let removed = REMOVED.iter().find(|(section, key, _)| Some((*section, *key)) == place);
        if let Some((section, key, advice)) = removed {
            return format!("the setting {section}.{key} no longer exists: {advice}");
        }
        let known = known.join(", ");
        return match known.starts_with("node, listen") {
            true => format!("there is no section [{unknown}]; the sections are {known}"),
            false => format!("there is no setting `{unknown}` in this section; there are {known}"),
        };
    }
    let Some((section, key)) = place else { return said };
    match good(section, key) {
        Some(value) => format!("{section}.{key}: {said}; a good value is {value}"),
        None => format!("{section}.{key}: {said}"),
    }
}

/// A setting's default, as it is written in a file.
fn good(section: &str, key: &str) -> Option<String> {
    let all = toml::Table::try_from(Config::default()).ok()?;
    Some(all.get(section)?.get(key)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        let unknown =
            sentence("unknown field `nde`, expected one of `node`, `listen`, `web`\n", None);
        assert_eq!(unknown, "there is no section [nde]; the sections are node, listen, web");
        let unknown =
            sentence("unknown field `lgo`, expected one of `log`, `engine`", Some(("node", "lgo")));
        assert_eq!(unknown, "there is no setting `lgo` in this section; there are log, engine");
        let wrong =
            sentence("invalid type: integer `7`, expected a string", Some(("node", "engine")));
        assert_eq!(
            wrong,
            "node.engine: invalid type: integer `7`, expected a string; a good value is \"sled\""
        );
        let wrong =
            sentence("invalid type: integer `7`, expected a string", Some(("web", "public_url")));
        assert_eq!(wrong, "web.public_url: invalid type: integer `7`, expected a string");
        assert_eq!(sentence("unclosed table", None), "unclosed table");
    }

    #[test]
    fn removed_setting_is_named_as_removed() {
        for (section, key, advice) in REMOVED {
            let unknown = format!("unknown field `{key}`, expected one of `tcp`, `quic`");
            let sentence = sentence(&unknown, Some((section, key)));
            assert_eq!(sentence, format!("the setting {section}.{key} no longer exists: {advice}"));
            // A setting that came back is not a removed one.
            assert_eq!(good(section, key), None);
        }
    }
}
