//! Makes friends of the three, gives each posts, pictures and letters, and waits until all of it
//! has arrived everywhere.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde_json::Value;
use tokio::time::Instant;

use super::house::House;
use super::people::{Mail, Neighbourhood, Person, Post, picture};
use super::wire;
use crate::control::{Request, Response};
use crate::say;

/// How long everything may take to arrive; on loopback it takes a second or two.
pub(super) const ARRIVES_WITHIN: Duration = Duration::from_secs(60);
/// How long letters may be on their way that an earlier start may have sent.
const QUEUE_WITHIN: Duration = Duration::from_secs(10);
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
            Err(error) if begun.elapsed() > ARRIVES_WITHIN => {
                return Err(error).with_context(|| format!("waited in vain for {what}"));
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Each becomes a friend of each, by invitation, once: what they make of it afterwards is theirs.
/// Somebody who lived in a folder that was removed is nobody's friend any more: whoever moved in
/// there has the name, and is another person.
pub(super) async fn befriend(houses: &mut [House], bar: &ProgressBar) -> Result<()> {
    let people: BTreeSet<String> = houses.iter().map(|house| house.person.clone()).collect();
    let mut gone = BTreeSet::new();
    for house in houses.iter_mut() {
        gone.extend(part_from_the_gone(house, &people).await?);
    }
    for name in gone {
        bar.suspend(|| say::line(format!("{name}'s folder was gone: another {name} has moved in, and the others make friends anew.")));
    }
    for at in 0..houses.len() {
        let (before, rest) = houses.split_at_mut(at);
        let Some((invited, _)) = rest.split_first_mut() else { continue };
        for inviting in before {
            if !inviting.kept.given().friends.contains(&invited.person) {
                introduce(inviting, invited).await?;
                inviting.kept.note(|given| given.friends.extend([invited.person.clone()]))?;
                invited.kept.note(|given| given.friends.extend([inviting.person.clone()]))?;
            }
            bar.inc(1);
        }
    }
    Ok(())
}

/// Ends the friendships with neighbours who are none of `people` any more; gives their names.
async fn part_from_the_gone(house: &mut House, people: &BTreeSet<String>) -> Result<Vec<String>> {
    let gone: Vec<String> = house.kept.given().friends.difference(people).cloned().collect();
    let mut names = Vec::new();
    if gone.is_empty() {
        return Ok(names);
    }
    let list = house.ask(Request::FriendList).await?;
    for friend in entries(&list)
        .filter(|friend| gone.contains(&word(friend, "person")) && friend["state"] != "left")
    {
        let page = house
            .browser()
            .await?
            .post(&format!("/home/friends/{}/remove", word(friend, "person")), &[])
            .await?;
        anyhow::ensure!(
            page.status == 303,
            "{} can't part from a friend who is gone: status {}",
            house.name,
            page.status
        );
        names.push(word(friend, "name"));
    }
    house.kept.note(|given| given.friends.retain(|person| people.contains(person)))?;
    Ok(names)
}

async fn introduce(inviting: &House, invited: &House) -> Result<()> {
    if friends(inviting, invited).await.is_ok() {
        return Ok(());
    }
    let invite = inviting.ask(Request::Invite).await?;
    let invite = invite.word("invite")?;
    invited.ask(Request::FriendAdd { invite }).await?;
    until(&format!("{} and {} to be friends", inviting.name, invited.name), || async {
        friends(inviting, invited).await?;
        friends(invited, inviting).await
    })
    .await?;
    Ok(())
}

async fn friends(one: &House, other: &House) -> Result<()> {
    let list = one.ask(Request::FriendList).await?;
    let known = entries(&list)
        .any(|friend| friend["person"] == other.person.as_str() && friend["state"] == "friend");
    anyhow::ensure!(known, "{} does not know {} yet", one.name, other.name);
    Ok(())
}

/// Pictures, posts and letters, each once. Gives the letters that were sent now.
pub(super) async fn fill<'a>(
    neighbourhood: &'a Neighbourhood,
    houses: &mut [House],
    bar: &ProgressBar,
) -> Result<Vec<&'a Mail>> {
    for (person, house) in neighbourhood.person.iter().zip(houses.iter_mut()) {
        if !house.kept.given().is_introduced {
            house
                .ask(Request::Profile {
                    strapline: person.strapline.clone(),
                    about: person.about.trim().to_owned(),
                })
                .await?;
            house.kept.note(|given| given.is_introduced = true)?;
        }
        store_photo(person, house).await?;
        bar.inc(1);
    }
    // One after the other as they were written, not one person's after the other's.
    let mut posts: Vec<(usize, &Post)> = neighbourhood
        .person
        .iter()
        .enumerate()
        .flat_map(|(at, person)| person.post.iter().map(move |post| (at, post)))
        .collect();
    posts.sort_by_key(|(_, post)| Reverse(post.hours_ago));
    for (at, post) in posts {
        if let Some(house) = houses.get_mut(at) {
            publish(post, house).await?;
        }
    }
    let mut sent = Vec::new();
    for mail in &neighbourhood.mail {
        let find = |login: &str| {
            houses.iter().position(|house| house.login == login).context("a letter of nobody")
        };
        let (from, to) = (find(&mail.from)?, find(&mail.to)?);
        let (Some(from), Some(to)) = (houses.get(from), houses.get(to)) else { continue };
        if to.kept.given().letters.contains(&mail.subject) {
            continue;
        }
        if !came_before(from, to, &mail.subject).await? {
            write_to(from, to, &mail.subject, mail.text.trim()).await?;
            sent.push(mail);
        }
        if let Some(to) = houses.iter_mut().find(|house| house.login == mail.to) {
            to.kept.note(|given| {
                given.letters.insert(mail.subject.clone());
            })?;
        }
    }
    Ok(sent)
}

/// Whether a letter was sent by an earlier start that did not come to note it. It may be on its way
/// still.
async fn came_before(from: &House, to: &House, subject: &str) -> Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < QUEUE_WITHIN
        && from.ask(Request::Status).await?.get("queued").as_u64() != Some(0)
    {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(to.letters(subject).await? > 0)
}

/// Publishes a post, if it never was.
async fn publish(post: &Post, house: &mut House) -> Result<()> {
    if house.kept.given().posts.contains_key(&post.sign()) {
        return Ok(());
    }
    let text = post.text.trim().to_owned();
    // An earlier start may have published it and not come to note it.
    let posts = house.ask(Request::PostList).await?;
    let known =
        entries(&posts).find(|entry| entry["text"] == text.as_str()).map(|entry| word(entry, "id"));
    let id = match known {
        Some(id) => id,
        None => {
            let there = house.ask(Request::PhotoList).await?;
            let hung = post.photos.iter().filter_map(|file| house.kept.given().photos.get(file));
            let photos = hung
                .filter(|id| entries(&there).any(|photo| photo["id"] == id.as_str()))
                .cloned()
                .collect();
            let request = Request::Post {
                title: post.title.clone(),
                text,
                photos,
                draft: false,
                hours_ago: post.hours_ago,
            };
            house.ask(request).await?.word("id")?
        }
    };
    house.kept.note(|given| drop(given.posts.insert(post.sign(), id)))
}

/// Hangs the pictures that never were.
async fn store_photo(person: &Person, house: &mut House) -> Result<()> {
    let new: Vec<_> = person
        .photo
        .iter()
        .filter(|photo| !house.kept.given().photos.contains_key(&photo.file))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let there = house.ask(Request::PhotoList).await?;
    let folder = tempfile::tempdir().context("no folder for pictures")?;
    for photo in new {
        let known = entries(&there)
            .find(|entry| entry["file"] == photo.file.as_str())
            .map(|entry| word(entry, "id"));
        let id = match known {
            Some(id) => id,
            None => {
                let file = folder.path().join(&photo.file);
                std::fs::write(&file, picture(&photo.file)?)?;
                house
                    .ask(Request::Photo {
                        file,
                        alt: photo.alt.clone(),
                        caption: photo.caption.clone(),
                    })
                    .await?
                    .word("id")?
            }
        };
        house.kept.note(|given| drop(given.photos.insert(photo.file.clone(), id)))?;
    }
    Ok(())
}

/// What a list has in it.
fn entries(list: &Response) -> impl Iterator<Item = &Value> {
    list.value.as_array().into_iter().flatten()
}

fn word(entry: &Value, part: &str) -> String {
    entry.get(part).and_then(Value::as_str).unwrap_or_default().to_owned()
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
    wire::submit(
        from.ports.smtps.port(),
        &from.certificate(),
        (&from.address(), from.app_password()),
        &to.address(),
        &mail,
    )
    .await
    .with_context(|| format!("{} could not write to {}", from.name, to.name))
}

/// Waits until every timeline has what friends say, and every inbox the letters that were `sent`.
/// Once that was so it is not looked for again: what people did since is theirs.
pub(super) async fn wait(houses: &mut [House], sent: &[&Mail], bar: &ProgressBar) -> Result<()> {
    if sent.is_empty() && houses.iter().all(|house| house.kept.given().is_complete) {
        return Ok(());
    }
    for reader in houses.iter() {
        until(&format!("{}'s timeline", reader.name), || has_all(reader, houses)).await?;
        bar.inc(1);
    }
    for mail in sent {
        let Some(to) = houses.iter().find(|house| house.login == mail.to) else { continue };
        until(&format!("the letter {:?}", mail.subject), || async {
            let found = to.letters(&mail.subject).await?;
            anyhow::ensure!(found == 1, "{} has {found} letters {:?}", to.name, mail.subject);
            Ok(())
        })
        .await?;
        bar.inc(1);
    }
    houses.iter_mut().try_for_each(|house| house.kept.note(|given| given.is_complete = true))
}

/// Whether a timeline has what was published for the demo, by its reader and their friends, and was
/// not withdrawn since.
async fn has_all(reader: &House, houses: &[House]) -> Result<()> {
    let there = reader.ask(Request::Timeline).await?;
    for author in houses {
        if author.login != reader.login && friends(reader, author).await.is_err() {
            continue;
        }
        let posts = author.ask(Request::PostList).await?;
        for post in entries(&posts)
            .filter(|post| author.kept.given().posts.values().any(|id| post["id"] == id.as_str()))
        {
            let is_there = entries(&there).any(|item| {
                item["author"] == author.person.as_str() && item["slug"] == post["slug"]
            });
            anyhow::ensure!(
                is_there,
                "{} does not see {}'s post {}",
                reader.name,
                author.name,
                post["slug"]
            );
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
