//! Commands that send a request to the running node, or execute it on the folder if none runs.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use data_encoding::BASE64;
use freehold_core::blocking::blocking;
use freehold_core::openpgp_key::ARMOUR_LEN_MAX;

use super::arguments::{
    Command, DkimCommand, Dns, DnsCommand, ExportCommand, FriendCommand, IdentityCommand, Import,
    ImportCommand, QueueCommand, SmarthostCommand, WkdCommand,
};
use super::{Target, read_input};
use crate::control::{
    self, CheckLock, ControlContext, DnsRequest, NewAppPassword, NewImapImport, OnProgress,
    Request, Response, ZoneUpdate,
};
use crate::{console, data_folder, exit};
use freehold_mail::files::{Format, ImportOptions};

/// Sends the command's request and prints the response.
pub(super) async fn run(target: Target, command: Command) -> Result<()> {
    let json = match &command {
        Command::Status(status) => status.json,
        Command::Dkim { command: DkimCommand::Show { json } } => *json,
        Command::Dns(dns) => dns.json,
        Command::Import { command: ImportCommand::Imap(imap) } => imap.json,
        _ => false,
    };
    let bare = matches!(&command, Command::AppPassword(app) if app.bare);
    let response = send(&target, request(command)?).await?;
    if json {
        console::print(serde_json::to_string_pretty(&response.value)?);
    } else if bare {
        console::print(response.string("app_password")?);
    } else {
        console::print(&response.text);
    }
    if response.get("whole") == false {
        return Err(exit::with(exit::DATA, "data is damaged; nothing was changed"));
    }
    if response.get("ready") == false {
        return Err(exit::with(exit::DATA, "the DNS of the domain is not complete"));
    }
    if let Some(count) = response.get("left_out").as_u64().filter(|count| *count > 0) {
        return Err(exit::with(exit::DATA, format!("left out, and named above: {count}")));
    }
    Ok(())
}

/// Sends a request to the node that runs in the folder, or executes it on the folder.
pub(super) async fn send(target: &Target, request: Request) -> Result<Response> {
    let prints = matches!(
        request,
        Request::ExportMail { .. } | Request::ImportMail(_) | Request::ImportImap(_)
    );
    let on_progress = progress_on_console(prints);
    if let Some(response) =
        control::call_with_progress(&target.data, &request, &on_progress).await?
    {
        return Ok(response);
    }
    if matches!(request, Request::Status) {
        return Err(exit::with(
            exit::UNAVAILABLE,
            format!("no node is running in {}; start it with `freehold`", target.data.display()),
        ));
    }
    if !data_folder::holds_node(&target.data)
        && !matches!(request, Request::MaySetUp(_) | Request::SetUp(_))
    {
        return Err(exit::with(
            exit::NO_INPUT,
            format!("there is no node in {}; `freehold` creates one", target.data.display()),
        ));
    }
    let node = data_folder::open(&target.data, &target.config).await?;
    let (ports, web) = (target.config.listen.clone(), target.config.web.clone());
    let addresses = {
        let (node, config) = (node.clone(), target.config.clone());
        Arc::new(move || control::stored_addresses(&node, &config))
    };
    let context = ControlContext {
        node: node.clone(),
        data: target.data.clone(),
        ports,
        web,
        addresses,
        mail: target.config.mail.clone(),
        public_addresses: target.config.node.public_addresses.clone(),
        certificate_authority: target.config.node.certificate_authority.clone(),
        is_running: false,
        check_lock: CheckLock::default(),
    };
    let result = control::execute(&context, request, on_progress).await;
    drop(context);
    blocking(move || node.close()).await?;
    result
}

/// Shows progress on the console; `prints` shows it also where standard error is no terminal.
fn progress_on_console(prints: bool) -> OnProgress {
    let display = match prints {
        true => console::ProgressDisplay::printing(),
        false => console::ProgressDisplay::new(),
    };
    Arc::new(move |step: &str, done, total| display.update(step, done, total))
}

fn request(command: Command) -> Result<Request> {
    Ok(match command {
        Command::SetupLink => Request::SetUpLink,
        Command::Invite => Request::Invite,
        Command::Friend { command: FriendCommand::Add { invite } } => Request::FriendAdd { invite },
        Command::Friend { command: FriendCommand::List } => Request::FriendList,
        Command::Friend { command: FriendCommand::Relay { name, off } } => {
            Request::FriendRelay { name, is_on: !off }
        }
        Command::Post(post) => {
            let (title, text) = split_title(&read_input(&post.file)?);
            Request::Post { title, text, photos: Vec::new(), draft: post.draft, hours_ago: 0 }
        }
        Command::Photo(photo) => {
            // The running node has its own working folder.
            let file = std::fs::canonicalize(&photo.file).map_err(|error| {
                exit::with(exit::NO_INPUT, format!("can't read {}: {error}", photo.file.display()))
            })?;
            Request::Photo { file, alt: photo.alt, caption: photo.caption }
        }
        Command::Queue { command: QueueCommand::List } => Request::QueueList,
        Command::Queue { command: QueueCommand::Show { id } } => Request::QueueShow { id },
        Command::Queue { command: QueueCommand::Retry { id } } => Request::QueueRetry { id },
        Command::Queue { command: QueueCommand::Drop { id } } => Request::QueueDrop { id },
        Command::Address { command } => Request::Address(command),
        Command::Wkd { command: WkdCommand::Set { file } } => {
            Request::WkdSet { key: BASE64.encode(&read_key(&file)?) }
        }
        Command::Wkd { command: WkdCommand::Show } => Request::Wkd,
        Command::Wkd { command: WkdCommand::Remove } => Request::WkdRemove,
        Command::Dkim { command: DkimCommand::Show { .. } } => Request::Dkim,
        Command::Dkim { command: DkimCommand::Rotate } => Request::DkimRotate,
        Command::Dns(dns) => Request::Dns(dns_request(dns)?),
        Command::Smarthost { command: SmarthostCommand::Show } => Request::Smarthost,
        Command::Smarthost { command: SmarthostCommand::Friend { name } } => {
            Request::SmarthostFriend { name }
        }
        Command::Smarthost { command: SmarthostCommand::Remove } => Request::SmarthostRemove,
        Command::Smarthost { command: SmarthostCommand::Set { server, user, password_file } } => {
            let password = password_file.map(|file| read_input(&file)).transpose()?;
            let password = password.unwrap_or_default().trim_end_matches(['\r', '\n']).to_owned();
            Request::SmarthostSet { server, user, password }
        }
        Command::AppPassword(app) => Request::AppPassword(NewAppPassword {
            label: app.label,
            scope: app.scope.name().to_owned(),
            expires_days: app.expires,
        }),
        Command::Export { command } => export_request(command)?,
        Command::Import { command } => import_request(command)?,
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
            anyhow::bail!("this command sends no request to a node")
        }
    })
}

fn dns_request(dns: Dns) -> Result<DnsRequest> {
    let addresses = dns.address;
    Ok(match dns.command {
        None => DnsRequest::Show { addresses, is_zone_file: dns.zone_file },
        Some(DnsCommand::Check) => DnsRequest::Check { addresses },
        Some(DnsCommand::Write(write)) => DnsRequest::Write(ZoneUpdate {
            addresses,
            server: write.server,
            zone: write.zone,
            key: read_input(&write.key_file)?,
            replaces: write.replace,
            is_dry: write.dry_run,
        }),
    })
}

/// The bytes of a key's file, up to one more than a key may have.
fn read_key(file: &Path) -> Result<Vec<u8>> {
    let unreadable = |error: std::io::Error| {
        exit::with(exit::NO_INPUT, format!("can't read {}: {error}", file.display()))
    };
    let mut key = Vec::new();
    let len_max = ARMOUR_LEN_MAX as u64 + 1;
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().take(len_max).read_to_end(&mut key),
        false => {
            std::fs::File::open(file).and_then(|file| file.take(len_max).read_to_end(&mut key))
        }
    };
    read.map_err(unreadable)?;
    Ok(key)
}

fn export_request(command: ExportCommand) -> Result<Request> {
    let (format, export) = match command {
        ExportCommand::Maildir(export) => (Format::Maildir, export),
        ExportCommand::Mbox(export) => (Format::Mbox, export),
    };
    // The running node has its own working folder.
    let folder = std::path::absolute(export.folder).context("the folder is no valid path")?;
    Ok(Request::ExportMail { format, folder })
}

fn import_request(command: ImportCommand) -> Result<Request> {
    let (format, is_mboxrd, import) = match command {
        ImportCommand::Imap(imap) => {
            let password = read_input(&imap.password_file)?;
            return Ok(Request::ImportImap(NewImapImport {
                host: imap.host,
                port: imap.port,
                user: imap.user,
                password: password.trim_end_matches(['\r', '\n']).to_owned(),
                folders: imap.folder,
                starttls: imap.starttls,
                plain: imap.plain_for_loopback,
                restores: imap.restore,
            }));
        }
        ImportCommand::Maildir(import) => (Format::Maildir, false, import),
        ImportCommand::Mbox { mboxrd, import } => (Format::Mbox, mboxrd, import),
    };
    let Import { path, folder: into, restore: restores } = import;
    // The running node has its own working folder.
    let path = std::fs::canonicalize(&path).map_err(|error| {
        exit::with(exit::NO_INPUT, format!("can't read {}: {error}", path.display()))
    })?;
    Ok(Request::ImportMail(ImportOptions { format, path, into, is_mboxrd, restores }))
}

/// Splits Markdown into title and text: a first line `# Title` is the title.
fn split_title(markdown: &str) -> (String, String) {
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
    use super::split_title;

    #[test]
    fn first_heading_is_the_title() {
        assert_eq!(split_title("# One\n\ntwo\n"), ("One".to_owned(), "two".to_owned()));
        assert_eq!(split_title("\u{feff}# One"), ("One".to_owned(), String::new()));
        assert_eq!(
            split_title("no title\n# later"),
            (String::new(), "no title\n# later".to_owned())
        );
        assert_eq!(split_title("#hashtag"), (String::new(), "#hashtag".to_owned()));
    }
}
