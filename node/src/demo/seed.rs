//! Seeds the demo: makes the nodes friends, publishes posts and photos, sends messages, and waits
//! until all of it is delivered.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde_json::Value;
use tokio::time::Instant;

use super::clients;
use super::content::{Content, Mail, Person, Post, picture};
use super::node::DemoNode;
use crate::console;
use crate::control::{Request, Response};

/// The time in which content must be delivered; on loopback it takes a second or two.
pub(super) const DELIVERED_WITHIN: Duration = Duration::from_secs(60);
/// The time in which messages of an interrupted start must leave the queue.
const QUEUE_EMPTY_WITHIN: Duration = Duration::from_secs(10);
/// The pause between two attempts.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// Repeats `check` until it succeeds. After [`DELIVERED_WITHIN`] it returns the last error.
pub(super) async fn until<F, Fut>(what: &str, mut check: F) -> Result<Duration>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let begun = Instant::now();
    loop {
        match check().await {
            Ok(()) => return Ok(begun.elapsed()),
            Err(error) if begun.elapsed() > DELIVERED_WITHIN => {
                return Err(error).with_context(|| {
                    format!("waited {} s for {what}", DELIVERED_WITHIN.as_secs())
                });
            }
            Err(_) => tokio::time::sleep(POLL_EVERY).await,
        }
    }
}

/// Makes every two nodes friends by an invitation, once: later changes by the owners stay. After a
/// folder was deleted, its node is another person of the same name; the friendships with the
/// earlier person are ended first.
pub(super) async fn make_friends(nodes: &mut [DemoNode], bar: &ProgressBar) -> Result<()> {
    let people: BTreeSet<String> = nodes.iter().map(|node| node.person.clone()).collect();
    let mut removed = BTreeSet::new();
    for node in nodes.iter_mut() {
        removed.extend(unfriend_removed(node, &people).await?);
    }
    for name in removed {
        bar.suspend(|| {
            console::print(format!(
                "{name}'s folder was deleted: a new {name} was set up and is made a friend again."
            ))
        });
    }
    for at in 0..nodes.len() {
        let (before, rest) = nodes.split_at_mut(at);
        let Some((invited, _)) = rest.split_first_mut() else { continue };
        for inviting in before {
            if !inviting.state.seeded().friends.contains(&invited.person) {
                connect(inviting, invited).await?;
                inviting.state.record(|seeded| seeded.friends.extend([invited.person.clone()]))?;
                invited.state.record(|seeded| seeded.friends.extend([inviting.person.clone()]))?;
            }
            bar.inc(1);
        }
    }
    Ok(())
}

/// Ends the friendships with seeded friends who are not in `people`. Returns their names.
async fn unfriend_removed(node: &mut DemoNode, people: &BTreeSet<String>) -> Result<Vec<String>> {
    let removed: Vec<String> = node.state.seeded().friends.difference(people).cloned().collect();
    let mut names = Vec::new();
    if removed.is_empty() {
        return Ok(names);
    }
    let list = node.ask(Request::FriendList).await?;
    for friend in entries(&list)
        .filter(|friend| removed.contains(&field(friend, "person")) && friend["state"] != "left")
    {
        let page = node
            .browser()
            .await?
            .post(&format!("/home/friends/{}/remove", field(friend, "person")), &[])
            .await?;
        anyhow::ensure!(
            page.status == 303,
            "{} can't end the friendship with a removed person: status {}",
            node.name,
            page.status
        );
        names.push(field(friend, "name"));
    }
    node.state.record(|seeded| seeded.friends.retain(|person| people.contains(person)))?;
    Ok(names)
}

async fn connect(inviting: &DemoNode, invited: &DemoNode) -> Result<()> {
    if check_friends(inviting, invited).await.is_ok() {
        return Ok(());
    }
    let invite = inviting.ask(Request::Invite).await?;
    let invite = invite.string("invite")?;
    invited.ask(Request::FriendAdd { invite }).await?;
    until(&format!("{} and {} to be friends", inviting.name, invited.name), || async {
        check_friends(inviting, invited).await?;
        check_friends(invited, inviting).await
    })
    .await?;
    Ok(())
}

async fn check_friends(one: &DemoNode, other: &DemoNode) -> Result<()> {
    let list = one.ask(Request::FriendList).await?;
    let is_friend = entries(&list)
        .any(|friend| friend["person"] == other.person.as_str() && friend["state"] == "friend");
    anyhow::ensure!(is_friend, "{} and {} are not friends yet", one.name, other.name);
    Ok(())
}

/// Seeds profiles, photos, posts and messages, each once. Returns the messages that were sent now.
pub(super) async fn seed_content<'a>(
    content: &'a Content,
    nodes: &mut [DemoNode],
    bar: &ProgressBar,
) -> Result<Vec<&'a Mail>> {
    for (person, node) in content.person.iter().zip(nodes.iter_mut()) {
        if !node.state.seeded().is_introduced {
            node.ask(Request::Profile {
                strapline: person.strapline.clone(),
                about: person.about.trim().to_owned(),
                avatar_colour: Some(person.avatar_colour),
            })
            .await?;
            node.state.record(|seeded| seeded.is_introduced = true)?;
        }
        add_photos(person, node).await?;
        bar.inc(1);
    }
    // In the order of their dates, over all people.
    let mut posts: Vec<(usize, &Post)> = content
        .person
        .iter()
        .enumerate()
        .flat_map(|(at, person)| person.post.iter().map(move |post| (at, post)))
        .collect();
    posts.sort_by_key(|(_, post)| Reverse(post.hours_ago));
    for (at, post) in posts {
        if let Some(node) = nodes.get_mut(at) {
            publish(post, node).await?;
        }
    }
    let mut sent = Vec::new();
    for mail in &content.mail {
        let position = |login: &str| {
            nodes
                .iter()
                .position(|node| node.login == login)
                .context("a message in content.toml has an unknown login")
        };
        let (from, to) = (position(&mail.from)?, position(&mail.to)?);
        let (Some(from), Some(to)) = (nodes.get(from), nodes.get(to)) else { continue };
        if to.state.seeded().messages.contains(&mail.subject) {
            continue;
        }
        if !was_sent_before(from, to, &mail.subject).await? {
            send_mail(from, to, &mail.subject, mail.text.trim()).await?;
            sent.push(mail);
        }
        if let Some(to) = nodes.iter_mut().find(|node| node.login == mail.to) {
            to.state.record(|seeded| {
                seeded.messages.insert(mail.subject.clone());
            })?;
        }
    }
    Ok(sent)
}

/// True if an interrupted start sent this message and did not record it. The message may still be
/// in the queue.
async fn was_sent_before(from: &DemoNode, to: &DemoNode, subject: &str) -> Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < QUEUE_EMPTY_WITHIN
        && from.ask(Request::Status).await?.get("queued").as_u64() != Some(0)
    {
        tokio::time::sleep(POLL_EVERY).await;
    }
    Ok(to.count_messages(subject).await? > 0)
}

/// Publishes a post, unless it was seeded before.
async fn publish(post: &Post, node: &mut DemoNode) -> Result<()> {
    if node.state.seeded().posts.contains_key(&post.label()) {
        return Ok(());
    }
    let text = post.text.trim().to_owned();
    // An interrupted start may have published it and not recorded it.
    let posts = node.ask(Request::PostList).await?;
    let existing = entries(&posts)
        .find(|entry| entry["text"] == text.as_str())
        .map(|entry| field(entry, "id"));
    let id = match existing {
        Some(id) => id,
        None => {
            let stored = node.ask(Request::PhotoList).await?;
            let ids = post.photos.iter().filter_map(|file| node.state.seeded().photos.get(file));
            let photos = ids
                .filter(|id| entries(&stored).any(|photo| photo["id"] == id.as_str()))
                .cloned()
                .collect();
            let request = Request::Post {
                title: post.title.clone(),
                text,
                photos,
                draft: false,
                hours_ago: post.hours_ago,
            };
            node.ask(request).await?.string("id")?
        }
    };
    node.state.record(|seeded| drop(seeded.posts.insert(post.label(), id)))
}

/// Adds the photos that were not seeded before.
async fn add_photos(person: &Person, node: &mut DemoNode) -> Result<()> {
    let new: Vec<_> = person
        .photo
        .iter()
        .filter(|photo| !node.state.seeded().photos.contains_key(&photo.file))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let stored = node.ask(Request::PhotoList).await?;
    let folder = tempfile::tempdir().context("can't create a temporary folder for photos")?;
    for photo in new {
        let existing = entries(&stored)
            .find(|entry| entry["file"] == photo.file.as_str())
            .map(|entry| field(entry, "id"));
        let id = match existing {
            Some(id) => id,
            None => {
                let file = folder.path().join(&photo.file);
                std::fs::write(&file, picture(&photo.file)?)?;
                node.ask(Request::Photo {
                    file,
                    alt: photo.alt.clone(),
                    caption: photo.caption.clone(),
                })
                .await?
                .string("id")?
            }
        };
        node.state.record(|seeded| drop(seeded.photos.insert(photo.file.clone(), id)))?;
    }
    Ok(())
}

/// The entries of a list.
fn entries(list: &Response) -> impl Iterator<Item = &Value> {
    list.value.as_array().into_iter().flatten()
}

/// A string field; empty if there is none.
fn field(entry: &Value, name: &str) -> String {
    entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Sends a message from one node to another, by submission.
pub(super) async fn send_mail(
    from: &DemoNode,
    to: &DemoNode,
    subject: &str,
    text: &str,
) -> Result<()> {
    let message = format!(
        "From: {} <{}>\r\nTo: {} <{}>\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: \
         text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{}",
        from.name,
        from.address(),
        to.name,
        to.address(),
        text.replace('\n', "\r\n"),
    );
    clients::submit(
        from.ports.smtps.port(),
        &from.certificate(),
        (&from.address(), from.app_password()),
        &to.address(),
        &message,
    )
    .await
    .with_context(|| format!("{} could not send mail to {}", from.name, to.name))
}

/// Waits until every timeline has all posts, and every inbox the messages in `sent`. After the
/// first success it checks no posts again: the owners may have withdrawn some.
pub(super) async fn wait_for_delivery(
    nodes: &mut [DemoNode],
    sent: &[&Mail],
    bar: &ProgressBar,
) -> Result<()> {
    if sent.is_empty() && nodes.iter().all(|node| node.state.seeded().is_complete) {
        return Ok(());
    }
    for reader in nodes.iter() {
        until(&format!("{}'s timeline", reader.name), || check_timeline(reader, nodes)).await?;
        bar.inc(1);
    }
    for mail in sent {
        let Some(to) = nodes.iter().find(|node| node.login == mail.to) else { continue };
        until(&format!("the message {:?}", mail.subject), || async {
            let found = to.count_messages(&mail.subject).await?;
            anyhow::ensure!(found == 1, "{} has {found} messages {:?}", to.name, mail.subject);
            Ok(())
        })
        .await?;
        bar.inc(1);
    }
    nodes.iter_mut().try_for_each(|node| node.state.record(|seeded| seeded.is_complete = true))
}

/// Checks that a timeline has the seeded posts of its reader and their friends, apart from
/// withdrawn ones.
async fn check_timeline(reader: &DemoNode, nodes: &[DemoNode]) -> Result<()> {
    let timeline = reader.ask(Request::Timeline).await?;
    for author in nodes {
        if author.login != reader.login && check_friends(reader, author).await.is_err() {
            continue;
        }
        let posts = author.ask(Request::PostList).await?;
        for post in entries(&posts)
            .filter(|post| author.state.seeded().posts.values().any(|id| post["id"] == id.as_str()))
        {
            let is_shown = entries(&timeline).any(|item| {
                item["author"] == author.person.as_str() && item["slug"] == post["slug"]
            });
            anyhow::ensure!(
                is_shown,
                "{}'s timeline lacks {}'s post {}",
                reader.name,
                author.name,
                post["slug"]
            );
        }
    }
    Ok(())
}

/// The HTML of the owner's /home.
pub(super) async fn timeline(node: &DemoNode) -> Result<String> {
    let mut browser = node.browser().await?;
    let page = browser.get("/home").await?;
    anyhow::ensure!(page.status == 200, "{}'s home answers {}", node.name, page.status);
    Ok(page.text())
}

/// Text escaped for HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&#38;").replace('<', "&#60;")
}
