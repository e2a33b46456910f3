//! The folders of the account that are imported, and their names here.

use freehold_core::mailbox::SpecialUse;

use super::client::{Answer, Client, ClientError, Status};
use super::response::{self, Listed, Namespaces};
use crate::files::special;

/// The most folders that are read.
const FOLDERS_MAX: usize = 5000;

/// The attributes of special folders (RFC 6154 2).
const SPECIAL: [(&str, SpecialUse); 5] = [
    ("\\drafts", SpecialUse::Drafts),
    ("\\sent", SpecialUse::Sent),
    ("\\archive", SpecialUse::Archive),
    ("\\junk", SpecialUse::Junk),
    ("\\trash", SpecialUse::Trash),
];
/// The attributes of folders that show the messages of others.
const VIEWS: [&str; 3] = ["\\all", "\\flagged", "\\important"];
/// The attributes of names without messages (RFC 3501 7.2.2, RFC 5258 3.4).
const EMPTY: [&str; 2] = ["\\noselect", "\\nonexistent"];

/// A folder to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Its name as the server spells it.
    pub(super) wire: Vec<u8>,
    /// Its name there.
    pub(super) name: String,
    /// Its name here, before what is no name here is replaced.
    pub(super) target: String,
    /// True for all mail of Gmail, whose labels say the folders.
    pub(super) has_labels: bool,
}

/// The folders of an account.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sources {
    pub(super) folders: Vec<Source>,
    /// The names of folders that are not imported, because they only show messages of others, or
    /// are other people's.
    pub(super) ignored: Vec<String>,
}

/// Asks for the folders. `wanted` names the only ones, with those below them; empty for all.
pub(super) async fn find(client: &mut Client, wanted: &[String]) -> Result<Sources, ClientError> {
    let mut namespaces = Namespaces::default();
    if client.has("NAMESPACE") {
        client.send("NAMESPACE").await?;
        while let Answer::Untagged(line, _) = client.answer().await? {
            if let Some(found) = response::namespaces(&line) {
                namespaces = found;
            }
        }
    }
    let has_return = client.has("LIST-EXTENDED") && client.has("SPECIAL-USE");
    let options = if has_return { " RETURN (SPECIAL-USE)" } else { "" };
    client.send(&format!("LIST \"\" \"*\"{options}")).await?;
    let mut listed = Vec::new();
    loop {
        match client.answer().await? {
            Answer::Untagged(line, _) if listed.len() < FOLDERS_MAX => {
                listed.extend(response::listed(&line));
            }
            Answer::Untagged(..) | Answer::Continue => {}
            Answer::Done(Status::Ok, _) => break,
            Answer::Done(_, text) => {
                return Err(ClientError::Fatal(format!("the server lists no folders: {text}")));
            }
        }
    }
    Ok(chosen(listed, &namespaces, client.has("X-GM-EXT-1"), wanted))
}

/// The folders that are imported, in the order of the server.
fn chosen(
    listed: Vec<Listed>,
    namespaces: &Namespaces,
    is_gmail: bool,
    wanted: &[String],
) -> Sources {
    let personal = namespaces.personal.first().map_or("", String::as_str);
    let has_all = is_gmail && wanted.is_empty() && listed.iter().any(|folder| folder.is("\\all"));
    let specials = specials(&listed);
    let mut sources = Sources::default();
    for folder in listed {
        if EMPTY.iter().any(|attribute| folder.is(attribute)) {
            continue;
        }
        let is_named = wanted.iter().any(|name| is_within(&folder.name, name));
        let is_view = VIEWS.iter().any(|attribute| folder.is(attribute));
        let is_other = namespaces.others.iter().any(|prefix| folder.name.starts_with(prefix));
        let is_all = has_all && folder.is("\\all");
        let is_taken = match (wanted.is_empty(), has_all) {
            (false, _) => is_named,
            // In all mail of Gmail is everything but these two.
            (true, true) => is_all || folder.is("\\junk") || folder.is("\\trash"),
            (true, false) => !is_view && !is_other,
        };
        if !is_taken {
            if wanted.is_empty() && !has_all {
                sources.ignored.push(folder.name);
            }
            continue;
        }
        let target = target(&folder.name, personal, &specials);
        sources.folders.push(Source {
            wire: folder.wire,
            name: folder.name,
            target,
            has_labels: is_all,
        });
    }
    sources
}

/// The special folders that the server names; of several with one use the first counts.
fn specials(listed: &[Listed]) -> Vec<(String, SpecialUse)> {
    let mut found: Vec<(String, SpecialUse)> = Vec::new();
    for folder in listed {
        let special = SPECIAL.iter().find(|(attribute, _)| folder.is(attribute));
        if let Some((_, special)) = special.filter(|(_, s)| !found.iter().any(|(_, f)| f == s)) {
            found.push((folder.name.clone(), *special));
        }
    }
    found
}

/// True if `name` is `folder` or below it, in any case.
fn is_within(name: &str, folder: &str) -> bool {
    let (name, folder) = (name.to_lowercase(), folder.trim_end_matches('/').to_lowercase());
    name.strip_prefix(&folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The name here: that of the special folder by the server's attributes or by its name.
fn target(name: &str, personal: &str, specials: &[(String, SpecialUse)]) -> String {
    let of_server = specials.iter().find_map(|(folder, special)| {
        let rest = name.strip_prefix(folder.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{}{rest}", special.name()))
    });
    of_server.unwrap_or_else(|| {
        let own = name.strip_prefix(personal).filter(|rest| !rest.is_empty());
        special::mapped(own.unwrap_or(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(folders: &[(&str, &str)]) -> Vec<Listed> {
        let folder = |(name, attributes): &(&str, &str)| Listed {
            wire: name.as_bytes().to_vec(),
            name: (*name).to_owned(),
            attributes: attributes.split(' ').map(str::to_owned).collect(),
        };
        folders.iter().map(folder).collect()
    }

    fn targets(sources: &Sources) -> Vec<(&str, &str)> {
        sources.folders.iter().map(|s| (s.name.as_str(), s.target.as_str())).collect()
    }

    #[test]
    fn special_folders_are_mapped_by_attribute_and_name() {
        let listed = listed(&[
            ("INBOX", ""),
            ("INBOX/Gesendet-2", "\\sent"),
            ("INBOX/Gesendet-2/2020", ""),
            ("INBOX/Papierkorb", ""),
            ("INBOX/Lists", "\\haschildren"),
            ("INBOX/Lists/rust", ""),
            ("Top", "\\noselect"),
            ("user/bob", ""),
            ("All", "\\all"),
        ]);
        let namespaces =
            Namespaces { personal: vec!["INBOX/".into()], others: vec!["user/".into()] };
        let all = chosen(listed.clone(), &namespaces, false, &[]);
        let expected = [
            ("INBOX", "INBOX"),
            ("INBOX/Gesendet-2", "Sent"),
            ("INBOX/Gesendet-2/2020", "Sent/2020"),
            ("INBOX/Papierkorb", "Trash"),
            ("INBOX/Lists", "Lists"),
            ("INBOX/Lists/rust", "Lists/rust"),
        ];
        assert_eq!(targets(&all), expected);
        assert_eq!(all.ignored, ["user/bob", "All"]);
        let some = chosen(listed, &namespaces, false, &["inbox/lists".into(), "All".into()]);
        let names: Vec<&str> = some.folders.iter().map(|folder| folder.name.as_str()).collect();
        assert_eq!(names, ["INBOX/Lists", "INBOX/Lists/rust", "All"]);
    }

    #[test]
    fn gmail_is_read_by_its_labels() {
        let listed = listed(&[
            ("INBOX", ""),
            ("Work", ""),
            ("[Gmail]", "\\noselect"),
            ("[Gmail]/Alle Nachrichten", "\\all"),
            ("[Gmail]/Markiert", "\\flagged"),
            ("[Gmail]/Spam", "\\junk"),
            ("[Gmail]/Papierkorb", "\\trash"),
        ]);
        let all = chosen(listed.clone(), &Namespaces::default(), true, &[]);
        let names: Vec<_> = all.folders.iter().map(|f| (f.target.as_str(), f.has_labels)).collect();
        assert_eq!(names, [("Archive", true), ("Junk", false), ("Trash", false)]);
        let work = chosen(listed.clone(), &Namespaces::default(), true, &["Work".into()]);
        assert_eq!(targets(&work), [("Work", "Work")]);
        // All mail may be hidden from IMAP.
        let hidden = listed.into_iter().filter(|folder| !folder.is("\\all")).collect();
        let folders = chosen(hidden, &Namespaces::default(), true, &[]);
        let names: Vec<&str> = folders.folders.iter().map(|f| f.target.as_str()).collect();
        assert_eq!(names, ["INBOX", "Work", "Junk", "Trash"]);
    }
}
