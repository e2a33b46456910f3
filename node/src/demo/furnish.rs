//! Makes friends of the three, gives each posts, pictures and letters, and waits until all of it has arrived everywhere.

use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use tokio::time::Instant;

use super::house::House;
use super::people::{Neighbourhood, Person, picture};
use super::wire;
use crate::control::Request;

/// How long everything may take to arrive; on loopback it takes a second or two.
pub(super) const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Tries until it holds, or says what last did not.
pub(super) async fn until<F, Fut>(what: &str, mut holds: F) -> Result<Duration>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let begun = Instant::now();
    loop {
        match holds().await {
            Ok(()) => return Ok(begun.elapsed()),
            Err(error) if begun.elapsed() > ARRIVES_WITHIN => return Err(error).with_context(|| format!("waited in vain for {what}")),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Each becomes a friend of each, by invitation. Somebody who lived in a folder that was removed is nobody's friend any more: whoever
/// moved in there has the name, and is another person.
pub(super) async fn befriend(houses: &[House], bar: &ProgressBar) -> Result<()> {
    let mut people = Vec::new();
    for house in houses {
        people.push((house.name.clone(), house.person().await?));
    }
    for house in houses {
        for friend in house.ask(Request::FriendList).await?.value.as_array().into_iter().flatten() {
            let is_gone = people.iter().any(|(name, person)| friend["name"] == name.as_str() && friend["person"] != person.as_str());
            if let Some(person) = friend["person"].as_str().filter(|_| is_gone && friend["state"] != "left") {
                let page = house.browser().await?.post(&format!("/home/friends/{person}/remove"), &[]).await?;
                anyhow::ensure!(page.status == 303, "{} can't part from a friend who is gone: status {}", house.name, page.status);
            }
        }
    }
    for (at, inviting) in houses.iter().enumerate() {
        for invited in houses.iter().skip(at + 1) {
            if friends(inviting, invited).await.is_err() {
                let invite = inviting.ask(Request::Invite).await?;
                let invite = invite.word("invite")?;
                invited.ask(Request::FriendAdd { invite }).await?;
                until(&format!("{} and {} to be friends", inviting.name, invited.name), || async {
                    friends(inviting, invited).await?;
                    friends(invited, inviting).await
                })
                .await?;
            }
            bar.inc(1);
        }
    }
    Ok(())
}

async fn friends(one: &House, other: &House) -> Result<()> {
    let (list, person) = (one.ask(Request::FriendList).await?.value, other.person().await?);
    let known = list.as_array().is_some_and(|list| list.iter().any(|f| f["person"] == person.as_str() && f["state"] == "friend"));
    anyhow::ensure!(known, "{} does not know {} yet", one.name, other.name);
    Ok(())
}

/// Pictures, posts and letters: each that is not there yet.
pub(super) async fn fill(neighbourhood: &Neighbourhood, houses: &[House], bar: &ProgressBar) -> Result<()> {
    for house in houses {
        // What is on its way already must not be sent a second time.
        until(&format!("{}'s letters to be on their way no more", house.name), || async {
            let queued = house.ask(Request::Status).await?.get("queued").as_u64();
            anyhow::ensure!(queued == Some(0), "{queued:?} letters wait");
            Ok(())
        })
        .await?;
    }
    for (person, house) in neighbourhood.person.iter().zip(houses) {
        let posts = house.ask(Request::PostList).await?.value;
        if posts.as_array().is_none_or(Vec::is_empty) {
            house.ask(Request::Profile { strapline: person.strapline.clone(), about: person.about.trim().to_owned() }).await?;
        }
        let ids = hang(person, house).await?;
        for post in person.post.iter().filter(|post| !lists(&posts, "text", post.text.trim())) {
            let photos = post.photos.iter().filter_map(|file| ids.iter().find(|(known, _)| known == file)).map(|(_, id)| id.clone());
            house
                .ask(Request::Post { title: post.title.clone(), text: post.text.trim().to_owned(), photos: photos.collect(), draft: false })
                .await?;
        }
        for mail in neighbourhood.mail.iter().filter(|mail| mail.from == person.login) {
            let to = houses.iter().find(|to| to.login == mail.to).context("a letter to nobody")?;
            let login = (to.login.as_str(), to.app_password.as_str());
            if wire::letters(to.ports.imaps.port(), &to.certificate(), login, &mail.subject).await? == 0 {
                write_to(house, to, &mail.subject, mail.text.trim()).await?;
            }
        }
        bar.inc(1);
    }
    Ok(())
}

/// Whether a list has an entry that says this.
fn lists(list: &serde_json::Value, part: &str, says: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|entry| entry.get(part).and_then(serde_json::Value::as_str) == Some(says)))
}

/// Adds the pictures that are not there yet; gives each file's id.
async fn hang(person: &Person, house: &House) -> Result<Vec<(String, String)>> {
    let there = house.ask(Request::PhotoList).await?.value;
    let word = |entry: &serde_json::Value, part: &str| entry.get(part).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    let mut ids: Vec<_> = there.as_array().into_iter().flatten().map(|photo| (word(photo, "file"), word(photo, "id"))).collect();
    let folder = tempfile::tempdir().context("no folder for pictures")?;
    for photo in &person.photo {
        if ids.iter().any(|(known, _)| *known == photo.file) {
            continue;
        }
        let file = folder.path().join(&photo.file);
        std::fs::write(&file, picture(&photo.file)?)?;
        let added = house.ask(Request::Photo { file, alt: photo.alt.clone(), caption: photo.caption.clone() }).await?;
        ids.push((photo.file.clone(), added.word("id")?));
    }
    Ok(ids)
}

/// A letter from one to another, by submission.
pub(super) async fn write_to(from: &House, to: &House, subject: &str, text: &str) -> Result<()> {
    let mail = format!(
        "From: {} <{}>\r\nTo: {} <{}>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{}",
        from.name,
        from.address(),
        to.name,
        to.address(),
        text.replace('\n', "\r\n"),
    );
    wire::submit(from.ports.smtps.port(), &from.certificate(), (&from.address(), &from.app_password), &to.address(), &mail)
        .await
        .with_context(|| format!("{} could not write to {}", from.name, to.name))
}

/// Waits until every timeline shows everybody's posts and every inbox has its letters.
pub(super) async fn wait(neighbourhood: &Neighbourhood, houses: &[House], bar: &ProgressBar) -> Result<()> {
    for house in houses {
        until(&format!("{}'s timeline", house.name), || async {
            let page = timeline(house).await?;
            for person in &neighbourhood.person {
                for post in &person.post {
                    anyhow::ensure!(page.contains(&escaped(&post.sign())), "{} does not see {:?}", house.name, post.sign());
                }
            }
            Ok(())
        })
        .await?;
        bar.inc(1);
        for mail in neighbourhood.mail.iter().filter(|mail| mail.to == house.login) {
            until(&format!("the letter {:?}", mail.subject), || async {
                let login = (house.login.as_str(), house.app_password.as_str());
                let found = wire::letters(house.ports.imaps.port(), &house.certificate(), login, &mail.subject).await?;
                anyhow::ensure!(found == 1, "{} has {found} letters {:?}", house.name, mail.subject);
                Ok(())
            })
            .await?;
            bar.inc(1);
        }
    }
    Ok(())
}

/// The owner's home page, as a browser gets it.
pub(super) async fn timeline(house: &House) -> Result<String> {
    let mut browser = house.browser().await?;
    let page = browser.get("/home").await?;
    anyhow::ensure!(page.status == 200, "{}'s home answers {}", house.name, page.status);
    Ok(page.text())
}

/// Text as it stands in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&#38;").replace('<', "&#60;")
}
