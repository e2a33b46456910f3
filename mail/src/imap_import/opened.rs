//! Opening a folder of the account, and finding a place in it.

use super::client::{Answer, Client, ClientError, Status};
use super::copy::Ended;
use super::folders::Source;
use super::response;

/// A folder that is open for reading.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Opened {
    pub(super) exists: u32,
    pub(super) uid_validity: u32,
    uid_next: u32,
}

/// EXAMINE (RFC 3501 6.3.2): as SELECT, and nothing there changes.
pub(super) async fn examine(client: &mut Client, folder: &Source) -> Result<Opened, Ended> {
    client.send_named("EXAMINE", &folder.wire, "").await?;
    let mut opened = Opened::default();
    loop {
        match client.answer().await? {
            Answer::Untagged(line, _) => {
                let number = |name| response::number_of(&line, name);
                let code = |name| response::code_of(&line, name);
                opened.exists = number("EXISTS").unwrap_or(opened.exists);
                opened.uid_validity = code("UIDVALIDITY").unwrap_or(opened.uid_validity);
                opened.uid_next = code("UIDNEXT").unwrap_or(opened.uid_next);
            }
            Answer::Continue => {}
            Answer::Done(Status::Ok, _) => return Ok(opened),
            Answer::Done(_, text) => return Err(Ended::Closed(text)),
        }
    }
}

/// The number of the first message whose UID is above `uid`. UIDs ascend (RFC 3501 2.3.1.1).
pub(super) async fn first_after(
    client: &mut Client,
    opened: &Opened,
    uid: u32,
) -> Result<u32, Ended> {
    let end = opened.exists.saturating_add(1);
    if uid == 0 {
        return Ok(1);
    }
    if opened.uid_next != 0 && opened.uid_next <= uid.saturating_add(1) {
        return Ok(end);
    }
    let (mut low, mut high) = (1, end);
    while low < high {
        let middle = low + (high - low) / 2;
        match uid_of(client, middle).await? {
            Some(found) if found <= uid => low = middle + 1,
            // One that the server does not give counts as new: it is named then.
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The UID of a message, if the server gives it.
pub(super) async fn uid_of(client: &mut Client, seq: u32) -> Result<Option<u32>, ClientError> {
    client.send(&format!("FETCH {seq} (UID)")).await?;
    let mut found = None;
    loop {
        match client.answer().await? {
            Answer::Untagged(line, _) => {
                if let Some(Ok(fetched)) = response::fetched(&line)
                    && fetched.seq == seq
                {
                    found = fetched.uid.or(found);
                }
            }
            Answer::Continue => {}
            Answer::Done(..) => return Ok(found),
        }
    }
}
