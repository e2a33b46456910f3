//! Imports mail from an account at another provider, by IMAP (RFC 3501).
//!
//! Nothing changes there: folders are opened with EXAMINE, and texts are read with BODY.PEEK[]. One
//! half reads from the network, the other stores; a few messages wait between them, so the memory
//! does not grow with the folder. After 128 messages a row says how far a folder is read, and the
//! next import goes on from there. A message that came twice is left alone, as in every import.

mod client;
mod copy;
mod folders;
pub(crate) mod job;
mod opened;
mod progress;
mod reader;
mod response;

use std::time::Duration;

use freehold_core::blocking::blocking_future;
use freehold_core::mailbox::{Flags, set_import_progress};
use freehold_core::node::{ImapSource, Node};
use freehold_core::store::Stop;
use tokio::sync::mpsc;

use crate::files::{FilesError, ImportReport, Message, Result, Storage, too_long};
use copy::{Copy, FetchedMessage, Item};

pub use copy::OnRead;

/// How many messages wait to be stored. Their bytes are bounded besides.
const WAITING_MAX: usize = 64;
/// The first pause before a lost connection is opened again; the last of seven is a minute.
const PAUSE: Duration = Duration::from_secs(1);

/// The end of an import.
#[derive(Debug)]
pub struct ImportEnd {
    /// The counts until then.
    pub report: ImportReport,
    /// Why it ended early; the same import goes on from there.
    pub error: Option<FilesError>,
}

/// Imports the messages that are new in the account since the last import, until `stopped` is
/// ready. `more_roots` is a file of certificates (PEM) that may sign the server's, besides public
/// authorities; empty for none. Dropping the future stops the import.
pub async fn import(
    node: Node,
    source: ImapSource,
    more_roots: &str,
    on_read: OnRead,
    stopped: impl Future<Output = ()>,
) -> ImportEnd {
    import_paced(node, source, more_roots, on_read, stopped, PAUSE).await
}

/// The same with another first pause before a lost connection is opened again.
pub async fn import_paced(
    node: Node,
    source: ImapSource,
    more_roots: &str,
    on_read: OnRead,
    stopped: impl Future<Output = ()>,
    pause: Duration,
) -> ImportEnd {
    let (to, items) = mpsc::channel(WAITING_MAX);
    let guard = StopOnDrop(Stop::default());
    let storage = Storage::new(node.clone(), None, source.restores, guard.0.clone());
    let account = copy::account(&source);
    let storing = async {
        let stored = blocking_future(store_all(storage, account, items)).await;
        stored.unwrap_or_else(|error| ImportEnd {
            report: ImportReport::default(),
            error: Some(FilesError::Unavailable(error.to_string())),
        })
    };
    let reading = async {
        let copy = Copy { node: &node, source: &source, more_roots, pause, to, on_read };
        tokio::select! {
            read = copy.run() => read,
            () = stopped => Err(FilesError::Unavailable("the import was stopped".to_owned())),
        }
    };
    let (read, ImportEnd { report, error }) = tokio::join!(Box::pin(reading), Box::pin(storing));
    // An error of the store ends the reading too.
    ImportEnd { report, error: error.or(read.err()) }
}

struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// Stores the messages that come. It blocks.
async fn store_all(
    mut storage: Storage,
    account: String,
    mut items: mpsc::Receiver<Item>,
) -> ImportEnd {
    let mut is_whole = true;
    let mut stored = Ok(());
    while let Some(item) = items.recv().await {
        stored = store(&mut storage, &account, item, &mut is_whole).await;
        if stored.is_err() {
            break;
        }
    }
    // The messages before an error stay.
    let finished = storage.finish().await;
    ImportEnd { error: stored.and(finished).err(), report: storage.report }
}

/// `is_whole` is false in a folder of which something could not be stored: it is tried again by
/// the next import.
async fn store(
    storage: &mut Storage,
    account: &str,
    item: Item,
    is_whole: &mut bool,
) -> Result<()> {
    match item {
        Item::Folder(name) => {
            let name = storage.named(&name, false);
            *is_whole = storage.folder(&name).await?.is_some();
        }
        Item::Message(message) => *is_whole &= store_message(storage, &message).await?,
        Item::Mark(folder, progress) if *is_whole => {
            storage.finish().await?;
            set_import_progress(&storage.node, account, &folder, progress).await?;
        }
        Item::Mark(..) => {}
        Item::LeftOut(place, reason) => storage.report.left_out.add(&place, &reason),
        Item::Ignored(name) => {
            let reason = "it shows messages of other folders, or is another person's";
            storage.report.ignored.add(&format!("folder {name}"), reason);
        }
    }
    Ok(())
}

/// Stores a message in its folders; false if one of them can't be created.
async fn store_message(storage: &mut Storage, message: &FetchedMessage) -> Result<bool> {
    let FetchedMessage { folders, flags, date, text, place } = message;
    let Some(text) = &text.bytes else {
        storage.report.left_out.add(place, &too_long());
        return Ok(true);
    };
    let date = storage.date(*date, text);
    let mut is_whole = true;
    for name in folders {
        // A copy of a draft in another folder is no draft.
        let is_copy = folders.len() > 1 && name != "Drafts";
        let bits = if is_copy { flags.bits & !Flags::DRAFT } else { flags.bits };
        let flags = Flags { bits, ..flags.clone() };
        let name = storage.named(name, false);
        storage.store(&name, &Message { text, date, flags }, place).await?;
        is_whole &= storage.folder(&name).await?.is_some();
    }
    Ok(is_whole)
}
