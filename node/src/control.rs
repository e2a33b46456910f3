//! The control socket in the data folder, by which commands reach the running node: one line of
//! JSON as request, one as response, and lines with the progress between them.
//!
//! The socket has mode 0600: the file system decides who may use it, without a secret of its own.
//! In a folder that can't be written it is a socket without a file, and each side checks the user
//! of the other.

mod address;
mod app_password;
mod check;
mod dkim;
mod dns;
mod execute;
mod friends;
mod identity;
mod imap_import;
mod mail_files;
mod queue;
mod retirement;
mod set_up;
mod smarthost;
mod socket;
mod status;
mod wkd;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use freehold_mail::files::{Format, ImportOptions};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;

pub(crate) use address::AddressCommand;
pub(crate) use app_password::NewAppPassword;
pub(crate) use check::CheckLock;
pub(crate) use dns::{DnsRequest, ZoneUpdate};
pub(crate) use execute::{Addresses, ControlContext, execute, stored_addresses};
pub(crate) use identity::{IdentityChange, request_from_log};
pub(crate) use imap_import::NewImapImport;
pub(crate) use set_up::SetUp;
pub(crate) use socket::{ControlListener, listen, remove_socket};

use crate::exit;

/// The longest request, in bytes: a post with its text is the largest.
const REQUEST_LEN_MAX: u64 = 1024 * 1024;

/// The pause after a failed accept, as when the process has no file descriptors left.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// A request to a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub(crate) enum Request {
    /// The node's state, addresses and ports.
    Status,
    /// Checks these set-up values. The response has the node's card, if a mnemonic is still to be
    /// made, and addresses for the recovery card.
    MaySetUp(SetUp),
    /// Set the node up.
    SetUp(SetUp),
    /// A new one-time link for the set-up in a browser.
    SetUpLink,
    /// An invitation for one friend.
    Invite,
    /// Accept an invitation.
    FriendAdd { invite: String },
    /// The friends and their states.
    FriendList,
    /// Send a friend's mail to the world by this node, or no more.
    FriendRelay { name: String, is_on: bool },
    /// The author and slug of each post in the timeline.
    Timeline,
    /// Change strapline and text of the profile, and the colour of the avatar if there is one.
    Profile {
        strapline: String,
        about: String,
        #[serde(default)]
        avatar_colour: Option<u8>,
    },
    /// Publish a post, or save it as a draft; `photos` are ids.
    Post {
        title: String,
        text: String,
        photos: Vec<String>,
        draft: bool,
        /// The age of a post that is imported with its date. Earlier versions do not send it.
        #[serde(default)]
        hours_ago: u64,
    },
    /// The owner's published posts.
    PostList,
    /// Change a published post.
    Edit { id: String, title: String, text: String },
    /// Withdraw a post.
    Withdraw { id: String },
    /// Add a photo from a file.
    Photo { file: PathBuf, alt: String, caption: String },
    /// The owner's photos.
    PhotoList,
    /// The messages in the mail queue.
    QueueList,
    /// One of them; ids are prefixes.
    QueueShow { id: String },
    /// Try one now, or all.
    QueueRetry { id: Option<String> },
    /// Give one up.
    QueueDrop { id: String },
    /// The keys that sign mail, with their DNS records.
    Dkim,
    /// Make new ones.
    DkimRotate,
    /// The DNS of the owner's domain.
    Dns(DnsRequest),
    /// The owner's OpenPGP key.
    Wkd,
    /// Serve this key, in base64.
    WkdSet { key: String },
    /// Serve no key any more.
    WkdRemove,
    /// The smarthost.
    Smarthost,
    /// Send mail for other domains by this server.
    SmarthostSet { server: String, user: String, password: String },
    /// Send mail for other domains by the node of this friend.
    SmarthostFriend { name: String },
    /// Have no smarthost any more.
    SmarthostRemove,
    /// Aliases and masked addresses.
    Address(AddressCommand),
    /// A new password for a mail program.
    AppPassword(NewAppPassword),
    /// Export all mail to a folder.
    ExportMail { format: Format, folder: PathBuf },
    /// Import mail from files.
    ImportMail(ImportOptions),
    /// Import mail from an account at another provider.
    ImportImap(NewImapImport),
    /// Read and verify all stored data.
    Check,
    /// The node's card.
    IdentityCard,
    /// Become the node of the person in this claim.
    IdentityClaim { claim: String },
    /// The node's person, and the nodes that may publish for them.
    IdentityShow,
    /// The identity log.
    IdentityLog,
    /// A request file, to be signed with the mnemonic.
    IdentityWants { wanted: IdentityChange },
    /// Add a signed operation to the identity log.
    IdentityUpload { signed: String },
}

/// A node's response.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Response {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    #[serde(default)]
    pub(crate) value: serde_json::Value,
}

impl Response {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), value: serde_json::Value::Null }
    }

    /// A field of `value`; null if there is none.
    pub(crate) fn get(&self, field: &str) -> &serde_json::Value {
        self.value.get(field).unwrap_or(&serde_json::Value::Null)
    }

    /// A string field of `value`.
    pub(crate) fn string(&self, field: &str) -> Result<String> {
        self.get(field)
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("the node's response has no field {field}"))
    }

    pub(crate) fn with(mut self, value: serde_json::Value) -> Self {
        self.value = value;
        self
    }
}

#[derive(Serialize, Deserialize)]
struct ErrorResponse {
    error: String,
    code: u8,
}

/// A line with the progress of a long request.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    step: String,
    done: u64,
    /// Zero if unknown.
    total: u64,
}

/// Called with the progress of a long request: the step, items done, and items in total (zero if
/// unknown).
pub(crate) type OnProgress = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// Sends a request to the node that runs in `data`; `None` if none runs there.
pub(crate) async fn call(data: &Path, request: &Request) -> Result<Option<Response>> {
    let ignore: OnProgress = Arc::new(|_, _, _| ());
    call_with_progress(data, request, &ignore).await
}

/// Sends a request to the node that runs in `data`, and reports its progress; `None` if none runs
/// there.
pub(crate) async fn call_with_progress(
    data: &Path,
    request: &Request,
    on_progress: &OnProgress,
) -> Result<Option<Response>> {
    let Some(stream) = socket::connect(data).await? else { return Ok(None) };
    let (read, mut write) = stream.into_split();
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    write.write_all(&line).await.context("the running node closed the control socket")?;
    let mut read = BufReader::new(read);
    let mut response = String::new();
    loop {
        response.clear();
        read.read_line(&mut response)
            .await
            .context("the running node closed the control socket")?;
        let Ok(progress) = serde_json::from_str::<Progress>(&response) else { break };
        on_progress(&progress.step, progress.done, progress.total);
    }
    if let Ok(failure) = serde_json::from_str::<ErrorResponse>(&response) {
        return Err(exit::with(failure.code, failure.error));
    }
    Ok(Some(serde_json::from_str(&response).context("the running node ended before it responded")?))
}

/// Accepts and handles requests until the task is dropped.
pub(crate) async fn serve(listener: ControlListener, context: ControlContext) {
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                // Most likely the process has no file descriptors left, which passes.
                tracing::warn!(%error, "a connection to the control socket could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let context = context.clone();
        tokio::spawn(async move {
            if let Err(error) = handle(stream, context).await {
                tracing::debug!(%error, "a control connection ended early");
            }
        });
    }
}

async fn handle(stream: UnixStream, context: ControlContext) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut read = BufReader::new(read.take(REQUEST_LEN_MAX));
    read.read_until(b'\n', &mut line).await?;
    let result = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => execute_with_progress(&context, request, &mut write).await,
        Err(_) if read.get_ref().limit() == 0 => {
            // The rest is read too: a client that still writes would not read the response.
            skip_line(BufReader::new(read.into_inner().into_inner())).await?;
            Err(exit::with(
                exit::DATA,
                format!(
                    "the request is too long: a running node takes at most {REQUEST_LEN_MAX} bytes"
                ),
            ))
        }
        Err(_) => Err(exit::with(
            exit::DATA,
            "the running node does not know this request: it may have another version; restart it",
        )),
    };
    let mut response = match result {
        Ok(response) => serde_json::to_vec(&response)?,
        Err(error) => serde_json::to_vec(&ErrorResponse {
            error: exit::message(&error),
            code: exit::code(&error),
        })?,
    };
    response.push(b'\n');
    write.write_all(&response).await?;
    Ok(())
}

/// Reads to the end of the line and discards it.
async fn skip_line(mut read: impl AsyncBufRead + Unpin) -> Result<()> {
    loop {
        let chunk = read.fill_buf().await?;
        let len = chunk.len();
        if len == 0 || chunk.contains(&b'\n') {
            return Ok(());
        }
        read.consume(len);
    }
}

/// Executes a request and writes its progress to the client.
async fn execute_with_progress(
    context: &ControlContext,
    request: Request,
    write: &mut OwnedWriteHalf,
) -> Result<Response> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let on_progress: OnProgress = Arc::new(move |step, done, total| {
        let _ = sender.send(Progress { step: step.to_owned(), done, total });
    });
    let mut execution = std::pin::pin!(execute(context, request, on_progress));
    loop {
        tokio::select! {
            result = &mut execution => return result,
            Some(progress) = receiver.recv() => {
                let mut line = serde_json::to_vec(&progress)?;
                line.push(b'\n');
                write.write_all(&line).await?;
            }
        }
    }
}
