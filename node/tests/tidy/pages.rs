//! The website's forms and the guides' snippets.

use std::collections::BTreeSet;
use std::process::Command;

use crate::{files_below, read, root, shown};

/// Paths with `{}` for each variable part.
fn normalized(path: &str) -> String {
    let mut normal = String::new();
    let mut depth = 0_usize;
    for c in path.chars() {
        match c {
            '{' => {
                if depth == 0 {
                    normal.push_str("{}");
                }
                depth += 1;
            }
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => normal.push(c),
            _ => {}
        }
    }
    normal.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// The paths of all routes that these calls add.
fn routes_of(calls: &[&str]) -> BTreeSet<String> {
    let mut routes = BTreeSet::new();
    for path in files_below(&root().join("web/src"), &[".rs"]) {
        let text = read(&path);
        routes.extend(
            calls
                .iter()
                .flat_map(|call| text.split(*call).skip(1))
                .filter_map(|call| {
                    call.split(',').take(2).find_map(|part| part.trim().strip_prefix('"'))
                })
                .filter_map(|quoted| quoted.split('"').next())
                .filter(|path| path.starts_with('/'))
                .map(normalized),
        );
    }
    routes
}

/// A template's text without its `{% … %}` tags.
fn without_tags(template: &str) -> String {
    template
        .split("{%")
        .enumerate()
        .map(
            |(at, part)| {
                if at == 0 { part } else { part.split_once("%}").map_or("", |(_, rest)| rest) }
            },
        )
        .collect()
}

#[test]
fn every_form_action_is_a_route() {
    let (posts, gets) = (routes_of(&[".post(", ".post_up_to("]), routes_of(&[".get("]));
    assert!(posts.len() > 20, "only {} routes were found", posts.len());
    let mut checked = 0;
    for path in files_below(&root().join("themes/templates"), &[".html"]) {
        let template = without_tags(&read(&path));
        for (at, _) in template.match_indices("action=\"") {
            let (before, rest) = template.split_at(at + "action=\"".len());
            let action = normalized(rest.split('"').next().unwrap_or_default());
            // A form without a method is sent by GET.
            let start = before.rsplit('<').next().unwrap_or_default();
            let tag = format!("{start}{}", rest.split('>').next().unwrap_or_default());
            let is_post = !tag.starts_with("form") || tag.contains("method=\"post\"");
            let (method, routes) = if is_post { ("POST", &posts) } else { ("GET", &gets) };
            // An action that begins with a variable is chosen by a handler, and tested there.
            if action.starts_with("{}") {
                continue;
            }
            checked += 1;
            let is_route = routes.iter().any(|route| matches(route, &action));
            assert!(is_route, "{}: no route for {method} {action}", shown(&path));
        }
    }
    assert!(checked > 20, "only {checked} forms were found");
}

/// True if a path can be that of a route. `{}` stands for one part.
fn matches(route: &str, path: &str) -> bool {
    let (route, path): (Vec<&str>, Vec<&str>) =
        (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len()
        && route.iter().zip(&path).all(|(of_route, part)| *of_route == "{}" || of_route == part)
}

/// The fenced and indented blocks of a Markdown text, with the language of the fenced ones.
fn blocks(text: &str) -> Vec<(String, String)> {
    let (mut found, mut fence, mut block) = (Vec::new(), None::<String>, String::new());
    for line in text.lines().chain([""]) {
        match (&fence, line.strip_prefix("```")) {
            (Some(language), Some(_)) => {
                found.push((language.clone(), std::mem::take(&mut block)));
                fence = None;
            }
            (None, Some(language)) => fence = Some(language.to_owned()),
            (Some(_), None) => block += &format!("{line}\n"),
            (None, None) => match line.strip_prefix("    ") {
                Some(indented) => block += &format!("{indented}\n"),
                None if line.is_empty() && !block.is_empty() => block.push('\n'),
                None => {
                    if !block.trim().is_empty() {
                        found.push((String::new(), std::mem::take(&mut block)));
                    }
                    block.clear();
                }
            },
        }
    }
    found
}

fn guides() -> Vec<std::path::PathBuf> {
    let mut paths = files_below(&root().join("node/guide"), &[".md"]);
    paths.push(root().join("README.md"));
    paths
}

#[test]
fn guide_settings_exist_in_the_example_config() {
    let example = read(&root().join("node/freehold.example.toml"));
    let section_of = |name: &str| {
        let (_, rest) = example.split_once(&format!("\n[{name}]\n"))?;
        Some(rest.lines().take_while(|line| !line.starts_with('[')).collect::<Vec<_>>())
    };
    for path in guides() {
        for (language, block) in blocks(&read(&path)) {
            let is_toml = language == "toml"
                || (language.is_empty() && block.starts_with('[') && block.contains("]\n"));
            if !is_toml {
                continue;
            }
            let settings: toml::Table =
                block.parse().unwrap_or_else(|error| panic!("{}: {error}\n{block}", shown(&path)));
            for (section, keys) in &settings {
                let known = section_of(section)
                    .unwrap_or_else(|| panic!("{}: no section [{section}]", shown(&path)));
                for key in keys.as_table().expect("a section").keys().filter(|key| *key != "routes")
                {
                    let is_known = known.iter().any(|line| {
                        line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} = "))
                    });
                    assert!(is_known, "{}: no setting {section}.{key}", shown(&path));
                }
            }
        }
    }
}

#[test]
fn guide_commands_are_valid_shell() {
    for path in guides() {
        for (_, block) in blocks(&read(&path)).into_iter().filter(|(language, _)| language == "sh")
        {
            let output = Command::new("sh").args(["-n", "-c", &block]).output().expect("sh runs");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}: {error}\n{block}", shown(&path));
        }
    }
}
