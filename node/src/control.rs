//! A command on a running node's folder talks to it through a socket in that folder: a line of JSON
//! each way. Before its answer the node may send lines that say how far it is.
//!
//! Who may open the folder may use the socket: it has mode 0600 and holds no secret of its own.

mod act;
mod check;
mod identity;
mod set_up;

use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use rustix::fs::Mode;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

pub(crate) use act::{Acting, act};
pub(crate) use check::Turn;
pub(crate) use identity::{Wanted, of_log};
pub(crate) use set_up::SetUp;

use crate::exit;

/// The socket's name in the data folder.
const SOCKET_NAME: &str = "control.sock";
/// The longest request, in bytes: a post with its text is the largest.
const REQUEST_LEN_MAX: u64 = 1024 * 1024;

/// How long to wait when the system has no more files to give.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// What can be asked of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "ask")]
pub(crate) enum Request {
    /// How it is doing, and where everything is.
    Status,
    /// Whether it could be set up like that; the node's card, where words are still to be made, and
    /// addresses for theirs.
    MaySetUp(SetUp),
    /// Set up a node that nobody has set up yet.
    SetUp(SetUp),
    /// An invitation for one friend.
    Invite,
    /// Accept an invitation.
    FriendAdd { invite: String },
    /// Who the friends are.
    FriendList,
    /// Whose posts the timeline has, and which.
    Timeline,
    /// Change the words that stand at the top of the site.
    Profile { strapline: String, about: String },
    /// Publish a post, or keep it as a draft; `photos` are ids. One that was written elsewhere
    /// before keeps its date.
    Post {
        title: String,
        text: String,
        photos: Vec<String>,
        draft: bool,
        /// What an asker of an earlier version does not say.
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
    /// A new password for a mail program.
    AppPassword { label: String },
    /// Read and verify everything.
    Check,
    /// The node's card.
    IdentityCard,
    /// Take a claim.
    IdentityClaim { claim: String },
    /// Who the node speaks for, and which nodes do.
    IdentityShow,
    /// The identity log.
    IdentityLog,
    /// A request, to be signed with the words.
    IdentityWants { wanted: Wanted },
    /// Take a signed operation.
    IdentityUpload { signed: String },
}

/// What a node answers.
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

    /// A part of what is for programs; nothing if it has no such part.
    pub(crate) fn get(&self, part: &str) -> &serde_json::Value {
        self.value.get(part).unwrap_or(&serde_json::Value::Null)
    }

    /// A part that is text.
    pub(crate) fn word(&self, part: &str) -> Result<String> {
        self.get(part)
            .as_str()
            .map(str::to_owned)
            .with_context(|| format!("the node's answer has no {part}"))
    }

    pub(crate) fn with(mut self, value: serde_json::Value) -> Self {
        self.value = value;
        self
    }
}

#[derive(Serialize, Deserialize)]
struct Refusal {
    error: String,
    code: u8,
}

/// How far long work is, while it goes on.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    step: String,
    done: u64,
    /// Zero where it is not known.
    total: u64,
}

/// Told how far long work is: the step, how many are done, and of how many (zero where unknown).
pub(crate) type Tell = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// Asks the node that runs in `data`, quietly; `None` if none runs there.
pub(crate) async fn ask(data: &Path, request: &Request) -> Result<Option<Response>> {
    let quiet: Tell = Arc::new(|_, _, _| ());
    ask_telling(data, request, &quiet).await
}

/// Asks the node that runs in `data`, which says how far it is; `None` if none runs there.
pub(crate) async fn ask_telling(
    data: &Path,
    request: &Request,
    tell: &Tell,
) -> Result<Option<Response>> {
    let Some(stream) = connect(data).await? else { return Ok(None) };
    let (read, mut write) = stream.into_split();
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    write.write_all(&line).await.context("the running node closed its socket")?;
    let mut read = BufReader::new(read);
    let mut answer = String::new();
    loop {
        answer.clear();
        read.read_line(&mut answer).await.context("the running node closed its socket")?;
        let Ok(progress) = serde_json::from_str::<Progress>(&answer) else { break };
        tell(&progress.step, progress.done, progress.total);
    }
    if let Ok(refusal) = serde_json::from_str::<Refusal>(&answer) {
        return Err(exit::with(refusal.code, refusal.error));
    }
    Ok(Some(serde_json::from_str(&answer).context("the running node ended before it answered")?))
}

async fn connect(data: &Path) -> Result<Option<UnixStream>> {
    let Ok(folder) = std::fs::File::open(data) else { return Ok(None) };
    match UnixStream::connect(short(&folder)).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => {
            Err(error).with_context(|| format!("can't talk to the node in {}", data.display()))
        }
    }
}

/// The socket by way of the open folder: a socket's path may have only 107 bytes, a folder's more.
fn short(folder: &std::fs::File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_NAME}", folder.as_raw_fd()))
}

/// Opens the socket. The caller holds the folder's lock, so a socket that is already there is a
/// dead node's.
pub(crate) fn listen(data: &Path) -> Result<UnixListener> {
    let folder = std::fs::File::open(data)?;
    let path = short(&folder);
    let _ = std::fs::remove_file(&path);
    // The owner's alone from its birth: a mode that is set afterwards leaves a moment in which
    // anybody may connect. The mask is the whole process's, so it takes nothing from the owner: a
    // folder that another thread makes in that moment must stay searchable.
    let usual = rustix::process::umask(Mode::from_raw_mode(0o077));
    let bound = UnixListener::bind(&path);
    rustix::process::umask(usual);
    let narrowed = |listener| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map(|()| listener)
    };
    bound
        .and_then(narrowed)
        .with_context(|| format!("can't open the control socket in {}", data.display()))
}

/// Answers until the task is dropped.
pub(crate) async fn serve(listener: UnixListener, acting: Acting) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of files, most likely: that passes.
                tracing::warn!(%error, "a command could not be taken in");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let acting = acting.clone();
        tokio::spawn(async move {
            if let Err(error) = answer(stream, acting).await {
                tracing::debug!(%error, "a command left early");
            }
        });
    }
}

async fn answer(stream: UnixStream, acting: Acting) -> Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut read = BufReader::new(read.take(REQUEST_LEN_MAX));
    read.read_until(b'\n', &mut line).await?;
    let done = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => act_telling(&acting, request, &mut write).await,
        Err(_) if read.get_ref().limit() == 0 => {
            // Its rest is read all the same: whoever still writes would not hear the answer.
            pass_over_line(BufReader::new(read.into_inner().into_inner())).await?;
            Err(exit::with(
                exit::DATA,
                format!("this is too long: a running node takes {REQUEST_LEN_MAX} bytes at once"),
            ))
        }
        Err(_) => Err(exit::with(
            exit::DATA,
            "the running node does not know this request; is it the same version?",
        )),
    };
    let mut answer = match done {
        Ok(response) => serde_json::to_vec(&response)?,
        Err(error) => serde_json::to_vec(&Refusal {
            error: exit::sentence(&error),
            code: exit::code(&error),
        })?,
    };
    answer.push(b'\n');
    write.write_all(&answer).await?;
    Ok(())
}

/// Reads to the end of the line and keeps nothing of it.
async fn pass_over_line(mut read: impl AsyncBufRead + Unpin) -> Result<()> {
    loop {
        let part = read.fill_buf().await?;
        let len = part.len();
        if len == 0 || part.contains(&b'\n') {
            return Ok(());
        }
        read.consume(len);
    }
}

/// Does what is asked, and writes how far it is to whoever asked.
async fn act_telling(
    acting: &Acting,
    request: Request,
    write: &mut OwnedWriteHalf,
) -> Result<Response> {
    let (sender, mut told) = mpsc::unbounded_channel();
    let tell: Tell = Arc::new(move |step, done, total| {
        let _ = sender.send(Progress { step: step.to_owned(), done, total });
    });
    let mut acted = std::pin::pin!(act(acting, request, tell));
    loop {
        tokio::select! {
            done = &mut acted => return done,
            Some(progress) = told.recv() => {
                let mut line = serde_json::to_vec(&progress)?;
                line.push(b'\n');
                write.write_all(&line).await?;
            }
        }
    }
}
