//! Commands that ask something of a node: of the one that runs in the folder, or else of the folder
//! itself.

use std::sync::Arc;

use anyhow::Result;

use super::arguments::{Command, FriendCommand, IdentityCommand};
use super::{Place, read_input};
use crate::control::{self, Acting, Request, Response, Tell, Turn};
use crate::{exit, open, say};

/// Asks, and prints the answer.
pub(super) async fn run(place: Place, command: Command) -> Result<()> {
    let json = matches!(&command, Command::Status(status) if status.json);
    let bare = matches!(&command, Command::AppPassword(app) if app.bare);
    let response = ask(&place, request(command)?).await?;
    if json {
        say::line(serde_json::to_string_pretty(&response.value)?);
    } else if bare {
        say::line(response.word("app_password")?);
    } else {
        say::line(&response.text);
    }
    if response.get("whole") == false {
        return Err(exit::with(exit::DATA, "the node is damaged; nothing was changed"));
    }
    Ok(())
}

/// Asks the node that runs in the folder, or else the folder itself.
pub(super) async fn ask(place: &Place, request: Request) -> Result<Response> {
    let tell = told_in_a_bar();
    if let Some(response) = control::ask_telling(&place.data, &request, &tell).await? {
        return Ok(response);
    }
    if matches!(request, Request::Status) {
        return Err(exit::with(
            exit::UNAVAILABLE,
            format!("no node is running in {}", place.data.display()),
        ));
    }
    if !open::is_there(&place.data) && !matches!(request, Request::MaySetUp(_) | Request::SetUp(_))
    {
        return Err(exit::with(
            exit::NO_INPUT,
            format!("there is no node in {}; `freehold` alone makes one", place.data.display()),
        ));
    }
    let node = open::node(&place.data, &place.config).await?;
    let (ports, web) = (place.config.listen.clone(), place.config.web.clone());
    let acting = Acting {
        node: node.clone(),
        data: place.data.clone(),
        ports,
        web,
        checking: Turn::default(),
    };
    let done = control::act(&acting, request, tell).await;
    drop(acting);
    freehold_core::blocking::blocking(move || node.close()).await?;
    done
}

/// Draws how far the work is; a step of which nobody knows the end counts without a bar.
fn told_in_a_bar() -> Tell {
    let bar = say::Bar::new();
    Arc::new(move |step: &str, done, total| bar.far(step, done, total))
}

fn request(command: Command) -> Result<Request> {
    Ok(match command {
        Command::Invite => Request::Invite,
        Command::Friend { command: FriendCommand::Add { invite } } => Request::FriendAdd { invite },
        Command::Friend { command: FriendCommand::List } => Request::FriendList,
        Command::Post(post) => {
            let (title, text) = titled(&read_input(&post.file)?);
            Request::Post { title, text, photos: Vec::new(), draft: post.draft, hours_ago: 0 }
        }
        Command::Photo(photo) => {
            // The node may have another working folder than this command.
            let file = std::fs::canonicalize(&photo.file).map_err(|error| {
                exit::with(exit::NO_INPUT, format!("can't read {}: {error}", photo.file.display()))
            })?;
            Request::Photo { file, alt: photo.alt, caption: photo.caption }
        }
        Command::AppPassword(app) => Request::AppPassword { label: app.label },
        Command::Check => Request::Check,
        Command::Status(_) => Request::Status,
        Command::Identity { command: IdentityCommand::Card } => Request::IdentityCard,
        Command::Identity { command: IdentityCommand::Claim { file } } => {
            Request::IdentityClaim { claim: read_input(&file)? }
        }
        Command::Identity { command: IdentityCommand::Show } => Request::IdentityShow,
        Command::Identity { command: IdentityCommand::Upload { file } } => {
            Request::IdentityUpload { signed: read_input(&file)? }
        }
        Command::Serve
        | Command::Init(_)
        | Command::Config
        | Command::Demo(_)
        | Command::Identity { .. } => {
            anyhow::bail!("this command asks nothing of a node")
        }
    })
}

/// A first line `# Title` is the title; the rest is the text.
fn titled(markdown: &str) -> (String, String) {
    let markdown = markdown.trim_start_matches('\u{feff}').trim();
    match markdown.strip_prefix("# ") {
        Some(rest) => {
            let (title, text) = rest.split_once('\n').unwrap_or((rest, ""));
            (title.trim().to_owned(), text.trim().to_owned())
        }
        None => (String::new(), markdown.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::titled;

    #[test]
    fn the_first_heading_is_the_title() {
        assert_eq!(titled("# One\n\ntwo\n"), ("One".to_owned(), "two".to_owned()));
        assert_eq!(titled("\u{feff}# One"), ("One".to_owned(), String::new()));
        assert_eq!(titled("no title\n# later"), (String::new(), "no title\n# later".to_owned()));
        assert_eq!(titled("#hashtag"), (String::new(), "#hashtag".to_owned()));
    }
}
