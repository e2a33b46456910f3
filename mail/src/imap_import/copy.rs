//! Reads the messages of the account and hands them to the half that stores them.
//!
//! Messages are read by their sequence numbers: the server must not change those while no other
//! command runs (RFC 3501 7.4.1), and none is skipped where UIDs have gaps. A position counts only
//! once all messages before it have come.

use std::collections::BTreeMap;
use std::time::Duration;

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{Flags, ImportProgress, import_progress};
use freehold_core::node::{ImapSource, Node};
use tokio::sync::mpsc;

use super::client::{Answer, Client, ClientError, HeldText, Room, Status};
use super::folders::{self, Source};
use super::opened::{examine, first_after, uid_of};
use super::response;
use crate::files::FilesError;

/// How many messages are asked for at a time.
const WINDOW: u32 = 128;
/// After so many messages in a row that do not come a folder is left: the server says that there
/// are more than it has.
const MISSING_MAX: u32 = 5_000;
/// How often a connection is opened anew without a message in between.
const TRIES_MAX: u32 = 7;
/// How often the connection is lost at one message until it is passed over: some servers close it
/// at a message that is damaged in their store.
const LOSSES_MAX: u32 = 3;
/// How many messages in a row are passed over: a server that breaks at all of them has another
/// reason, as a limit on what it sends in a day.
const PASSED_MAX: u32 = 3;

/// A step of the import, for the half that stores.
pub(super) enum Item {
    /// A folder begins; it is to exist here.
    Folder(String),
    Message(Box<FetchedMessage>),
    /// All messages of the folder up to this one were handed over.
    Mark(String, ImportProgress),
    /// A message or folder could not be read: its place and the reason.
    LeftOut(String, String),
    /// A folder is not imported.
    Ignored(String),
}

/// A message of the account.
pub(super) struct FetchedMessage {
    /// Its folder here, or those of its labels.
    pub(super) folders: Vec<String>,
    pub(super) flags: Flags,
    pub(super) date: Option<Timestamp>,
    pub(super) text: HeldText,
    /// Names it if it is left out.
    pub(super) place: String,
}

/// Called with the messages read, and all messages.
pub type OnRead = Box<dyn Fn(u64, u64) + Send + Sync>;

/// One import's reading half.
pub(super) struct Copy<'a> {
    pub(super) node: &'a Node,
    pub(super) source: &'a ImapSource,
    pub(super) more_roots: &'a str,
    /// The first pause before a new connection; each further one is twice as long.
    pub(super) pause: Duration,
    pub(super) to: mpsc::Sender<Item>,
    pub(super) on_read: OnRead,
}

/// Why a folder is not read to its end.
pub(super) enum Ended {
    Client(ClientError),
    /// The folder can't be opened.
    Closed(String),
    /// The half that stores has ended, which has its own error.
    NotStored,
}

impl From<ClientError> for Ended {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

/// How far a folder is read.
#[derive(Clone, Copy, Debug, Default)]
struct Position {
    uid_validity: u32,
    /// The last UID before which everything is handed over.
    uid: u32,
    /// How often the connection was lost while the message after `uid` was read.
    losses: u32,
    /// How many messages before it were passed over.
    passed: u32,
}

impl Copy<'_> {
    /// Reads everything that is new there.
    pub(super) async fn run(&self) -> Result<(), FilesError> {
        let room = Room::new();
        // A mistake in the name or the login is reported at once.
        let mut client = self.open(&room).await.map_err(of_client)?;
        let wanted = &self.source.folders;
        let sources = folders::find(&mut client, wanted).await.map_err(of_client)?;
        if sources.folders.is_empty() {
            let which = if wanted.is_empty() { String::new() } else { format!(" {wanted:?}") };
            let server = self.source.server();
            return Err(FilesError::NoMail(format!("{server} has no folder{which}")));
        }
        let counts = self.count(&mut client, &sources.folders).await.map_err(of_client)?;
        let (mut done, total) = (0, counts.iter().map(|count| u64::from(*count)).sum::<u64>());
        for name in sources.ignored {
            if self.hand(Item::Ignored(name)).await.is_err() {
                return Ok(());
            }
        }
        for (folder, count) in sources.folders.iter().zip(counts) {
            let mut position = self.position(folder)?;
            let mut tries = 0;
            loop {
                let before = position.uid;
                match self.folder(&mut client, folder, &mut position, (done, total)).await {
                    Ok(()) => break,
                    Err(Ended::NotStored) => return Ok(()),
                    Err(Ended::Closed(reason)) => {
                        let item = Item::LeftOut(format!("folder {}", folder.name), reason);
                        if self.hand(item).await.is_err() {
                            return Ok(());
                        }
                        break;
                    }
                    Err(Ended::Client(ClientError::Lost(cause))) => {
                        tries = if position.uid == before { tries } else { 0 };
                        client = self.again(&room, &mut tries, cause).await?;
                    }
                    Err(Ended::Client(error)) => return Err(of_client(error)),
                }
            }
            done += u64::from(count);
            (self.on_read)(done, total.max(done));
        }
        // The server may close at once.
        let _ = client.send("LOGOUT").await;
        Ok(())
    }

    async fn open(&self, room: &Room) -> Result<Client, ClientError> {
        Box::pin(Client::open(self.source, self.more_roots, room.clone())).await
    }

    /// Opens a connection after one was lost.
    async fn again(
        &self,
        room: &Room,
        tries: &mut u32,
        mut cause: String,
    ) -> Result<Client, FilesError> {
        loop {
            if *tries >= TRIES_MAX {
                return Err(FilesError::Server(cause));
            }
            let pause = self.pause.saturating_mul(1 << *tries);
            *tries += 1;
            tracing::info!(cause, ?pause, "an import lost its connection and opens another one");
            tokio::time::sleep(pause).await;
            match self.open(room).await {
                Ok(client) => return Ok(client),
                Err(ClientError::Lost(again)) => cause = again,
                Err(error) => return Err(of_client(error)),
            }
        }
    }

    /// The number of messages in each folder; zero where the server does not say.
    async fn count(
        &self,
        client: &mut Client,
        folders: &[Source],
    ) -> Result<Vec<u32>, ClientError> {
        let mut counts = Vec::with_capacity(folders.len());
        for folder in folders {
            client.send_named("STATUS", &folder.wire, " (MESSAGES)").await?;
            let mut count = 0;
            loop {
                match client.answer().await? {
                    Answer::Untagged(line, _) => {
                        count = response::status_messages(&line).unwrap_or(count);
                    }
                    Answer::Continue => {}
                    Answer::Done(..) => break,
                }
            }
            counts.push(count);
        }
        Ok(counts)
    }

    /// How far earlier imports have read a folder.
    fn position(&self, folder: &Source) -> Result<Position, FilesError> {
        let known = match self.source.restores {
            true => None,
            false => import_progress(self.node, &account(self.source), &folder.name)?,
        };
        let known = known.map(|known| (known.uid_validity, known.uid));
        let (uid_validity, uid) = known.unwrap_or_default();
        Ok(Position { uid_validity, uid, ..Position::default() })
    }

    async fn hand(&self, item: Item) -> Result<(), Ended> {
        self.to.send(item).await.map_err(|_| Ended::NotStored)
    }

    /// Reads a folder from `position` on. `(done, total)` are the messages of the folders before
    /// it, and of all.
    async fn folder(
        &self,
        client: &mut Client,
        folder: &Source,
        position: &mut Position,
        (done, total): (u64, u64),
    ) -> Result<(), Ended> {
        let opened = examine(client, folder).await?;
        if position.uid_validity != opened.uid_validity || opened.uid_validity == 0 {
            *position = Position { uid_validity: opened.uid_validity, ..Position::default() };
        }
        self.hand(Item::Folder(folder.target.clone())).await?;
        let mut next = first_after(client, &opened, position.uid).await?;
        // After a refused window its messages are asked for one by one, and after a lost one too.
        let mut single_until = 0;
        if position.losses > 0 {
            single_until = next.saturating_add(WINDOW);
        }
        let is_stuck = position.losses >= LOSSES_MAX && position.passed < PASSED_MAX;
        if is_stuck && next <= opened.exists {
            self.pass_over(client, folder, position, next).await?;
            next = next.saturating_add(1);
        }
        let mut missing = 0u32;
        while next <= opened.exists {
            let window = if next < single_until { 1 } else { WINDOW };
            let last = next.saturating_add(window - 1).min(opened.exists);
            let mut window = Window { next, last, early: BTreeMap::new(), has_any: false };
            let before = position.uid;
            let status = match self.window(client, folder, position, &mut window).await {
                Ok(status) => status,
                Err(ended) => {
                    if matches!(ended, Ended::Client(ClientError::Lost(_))) {
                        let is_same = position.uid == before;
                        position.losses = if is_same { position.losses + 1 } else { 1 };
                    }
                    return Err(ended);
                }
            };
            (position.losses, position.passed) = (0, 0);
            match status {
                Status::Ok => {}
                _ if window.next < last => {
                    (next, single_until) = (window.next, last.saturating_add(1));
                    continue;
                }
                _ => {}
            }
            // Those that did not come, though the command has ended.
            for seq in window.next..=last {
                if !window.early.contains_key(&seq) {
                    let place = format!("{}, message {seq}", folder.name);
                    let reason = "the server does not give it".to_owned();
                    self.hand(Item::LeftOut(place, reason)).await?;
                }
            }
            missing = match window.has_any {
                true => 0,
                false => missing.saturating_add(last - next + 1),
            };
            if missing >= MISSING_MAX {
                let count = opened.exists;
                let reason = format!("the server names {count} messages and does not give them");
                return Err(Ended::Closed(reason));
            }
            position.uid = window.early.values().copied().fold(position.uid, u32::max);
            if position.uid_validity != 0 {
                let progress =
                    ImportProgress { uid_validity: position.uid_validity, uid: position.uid };
                self.hand(Item::Mark(folder.name.clone(), progress)).await?;
            }
            let read = done.saturating_add(last.into());
            // A server may say of a folder that it is empty, and open it with messages.
            (self.on_read)(read, total.max(read));
            let Some(following) = last.checked_add(1) else { break };
            next = following;
        }
        Ok(())
    }

    /// Names the message at `seq` as left out, and goes on after it.
    async fn pass_over(
        &self,
        client: &mut Client,
        folder: &Source,
        position: &mut Position,
        seq: u32,
    ) -> Result<(), Ended> {
        let uid = uid_of(client, seq).await?;
        let number = uid.map_or(format!("message {seq}"), |uid| format!("UID {uid}"));
        let place = format!("{}, {number}", folder.name);
        let reason = format!("the connection breaks at it, {LOSSES_MAX} times");
        self.hand(Item::LeftOut(place, reason)).await?;
        position.uid = uid.unwrap_or(position.uid).max(position.uid);
        (position.losses, position.passed) = (0, position.passed.saturating_add(1));
        Ok(())
    }

    /// Reads the messages of a window.
    async fn window(
        &self,
        client: &mut Client,
        folder: &Source,
        position: &mut Position,
        window: &mut Window,
    ) -> Result<Status, Ended> {
        let labels = if folder.has_labels { " X-GM-LABELS" } else { "" };
        let Window { next, last, .. } = *window;
        let items = format!("(UID FLAGS INTERNALDATE{labels} BODY.PEEK[])");
        client.send(&format!("FETCH {next}:{last} {items}")).await?;
        loop {
            let (line, text) = match client.answer().await? {
                Answer::Untagged(line, text) => (line, text),
                Answer::Continue => continue,
                Answer::Done(status, _) => return Ok(status),
            };
            let Some(found) = response::fetched(&line) else { continue };
            let Ok(found) = found else {
                let cause = "the server sent a message in a form that can't be read";
                return Err(ClientError::Fatal(cause.to_owned()).into());
            };
            // A response without a text tells of changed flags.
            let text = text.or(found.text.map(HeldText::short));
            let (Some(text), Some(uid)) = (text, found.uid) else { continue };
            if !(window.next..=last).contains(&found.seq) || window.early.contains_key(&found.seq) {
                continue;
            }
            let message = FetchedMessage {
                folders: match folder.has_labels {
                    true => crate::files::gmail::folders_of_imap(found.labels.into_iter()),
                    false => vec![folder.target.clone()],
                },
                flags: found.flags,
                date: found.date,
                text,
                place: format!("{}, UID {uid}", folder.name),
            };
            self.hand(Item::Message(Box::new(message))).await?;
            window.has_any = true;
            client.progressed();
            window.early.insert(found.seq, uid);
            while let Some(uid) = window.early.remove(&window.next) {
                position.uid = position.uid.max(uid);
                window.next += 1;
            }
        }
    }
}

/// The messages of one command.
struct Window {
    /// The first message that has not come.
    next: u32,
    last: u32,
    /// The UIDs of messages that came before one with a lower number.
    early: BTreeMap<u32, u32>,
    /// Whether a message has come.
    has_any: bool,
}

/// An account as the rows of its progress name it.
pub(super) fn account(source: &ImapSource) -> String {
    format!("{}\0{}", source.server(), source.user)
}

fn of_client(error: ClientError) -> FilesError {
    match error {
        ClientError::Lost(cause) | ClientError::Fatal(cause) => FilesError::Server(cause),
        ClientError::Login(text) => {
            FilesError::Login(format!("the server refuses the user name or the password: {text}"))
        }
    }
}
