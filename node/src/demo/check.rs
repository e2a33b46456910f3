//! `freehold demo --check`: tests the nodes from outside, then under failures: one node is killed
//! while it publishes, another is stopped during an edit and a withdrawal. In the end all agree.

use anyhow::{Context, Result, ensure};
use freehold_core::random::Random;

use super::clients::{self, Browser};
use super::content::Content;
use super::node::DemoNode;
use super::seed::{escaped, send_mail, timeline, until};
use crate::console;
use crate::control::Request;

/// The number of posts during whose publication a node is killed.
const POSTS_IN_FLIGHT: usize = 12;

/// Runs all tests. The error names the first that failed.
pub(super) async fn run(content: &Content, nodes: &mut [DemoNode]) -> Result<()> {
    console::print("ok  every timeline has all posts, every inbox has all messages");
    for (person, node) in content.person.iter().zip(nodes.iter()) {
        let mut visitor = node.visitor();
        let front = visitor.get("/").await?;
        ensure!(front.status == 200, "{}'s front page answers {}", node.name, front.status);
        let text = front.text();
        for post in &person.post {
            ensure!(
                text.contains(&escaped(&post.label())),
                "{}'s front page lacks {:?}",
                node.name,
                post.label()
            );
        }
        let feed = visitor.get("/feed.atom").await?;
        ensure!(
            feed.status == 200 && feed.text().contains("<feed"),
            "{}'s Atom feed answers {}",
            node.name,
            feed.status
        );
        ensure!(
            visitor.get("/home").await?.status != 200,
            "a stranger can open {}'s /home",
            node.name
        );
        clients::check_relay_refused(node.ports.smtp.port())
            .await
            .with_context(|| node.name.clone())?;
    }
    console::print("ok  front pages and feeds are public, /home is private, SMTP does not relay");
    check_pictures_equal(content, nodes).await?;
    let [alice, bob, carol] = nodes else { anyhow::bail!("the demo has three people") };
    lose_nothing_by_a_kill(alice, bob, carol).await?;
    catch_up_after_a_stop(alice, bob, carol).await?;
    queue_mail_for_a_stopped_node(alice, bob).await?;
    for node in nodes.iter_mut() {
        let response = node.ask(Request::Check).await?;
        ensure!(
            response.get("whole") == true,
            "{}'s node has damaged data: {}",
            node.name,
            response.text
        );
    }
    console::print("ok  every row, blob, seal and signature is valid on all three nodes");
    for node in nodes.iter_mut() {
        node.stop().await?;
    }
    console::print("ok  all three nodes stopped at SIGTERM");
    Ok(())
}

/// A picture in a friend's post, as the reader's own node serves it, equals the author's, byte by
/// byte.
async fn check_pictures_equal(content: &Content, nodes: &[DemoNode]) -> Result<()> {
    let mut compared = 0;
    for (person, author) in content.person.iter().zip(nodes) {
        let posted =
            |file: &str| person.post.iter().any(|post| post.photos.iter().any(|used| used == file));
        for photo in person.photo.iter().filter(|photo| posted(&photo.file)) {
            let original = picture_of(&mut author.visitor(), "/photos", &photo.alt).await?;
            for reader in nodes.iter().filter(|reader| reader.login != author.login) {
                until(&format!("{}'s picture on {}'s node", author.name, reader.name), || async {
                    let shown =
                        picture_of(&mut reader.browser().await?, "/home", &photo.alt).await?;
                    ensure!(shown == original, "{:?} differs on {}'s node", photo.alt, reader.name);
                    Ok(())
                })
                .await?;
                compared += 1;
            }
        }
    }
    ensure!(compared > 0, "no picture could be compared");
    console::print(format!(
        "ok  {compared} pictures in friends' posts are equal, byte by byte, on the reader's own \
         node"
    ));
    Ok(())
}

/// The bytes of the 400-pixel rendition of the picture with this `alt` text on a page.
async fn picture_of(browser: &mut Browser, path: &str, alt: &str) -> Result<Vec<u8>> {
    let page = browser.get(path).await?.text();
    let attribute = format!("alt=\"{}\"", escaped(alt));
    let tag = page
        .split("<img")
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .find(|tag| tag.contains(&attribute));
    let tag = tag.with_context(|| format!("{path} does not show {alt:?}"))?;
    let source =
        tag.split(['"', ' ']).find(|word| word.starts_with('/') && word.ends_with("/400.jpg"));
    let response = browser
        .get(source.with_context(|| format!("{path} has no small picture of {alt:?}"))?)
        .await?;
    ensure!(
        response.status == 200 && response.body.starts_with(&[0xff, 0xd8]),
        "the picture of {alt:?} answers {}",
        response.status
    );
    Ok(response.body)
}

async fn post(node: &DemoNode, title: &str, text: &str) -> Result<String> {
    let request = Request::Post {
        title: title.to_owned(),
        text: text.to_owned(),
        photos: Vec::new(),
        draft: false,
        hours_ago: 0,
    };
    node.ask(request).await?.string("id")
}

/// SIGKILL at a random moment while posts are published: every acknowledged post is on all three
/// nodes afterwards.
async fn lose_nothing_by_a_kill(
    alice: &DemoNode,
    bob: &mut DemoNode,
    carol: &DemoNode,
) -> Result<()> {
    let random = Random::from_os().context("the system gives no random numbers")?;
    let kill_after = std::time::Duration::from_millis(random.u64() % 400);
    let data = bob.data().to_path_buf();
    let publishing = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        for number in 0..POSTS_IN_FLIGHT {
            let title = format!("Loaf number {number} of a long night");
            let request = Request::Post {
                title: title.clone(),
                text: "Rising.".to_owned(),
                photos: Vec::new(),
                draft: false,
                hours_ago: 0,
            };
            match crate::control::call(&data, &request).await {
                Ok(Some(_)) => acknowledged.push(title),
                _ => break,
            }
        }
        acknowledged
    });
    tokio::time::sleep(kill_after).await;
    bob.kill().await?;
    let acknowledged = publishing.await?;
    bob.start().await.context("start after SIGKILL")?;
    for node in [&*bob, alice, carol] {
        until(&format!("{}'s timeline after the kill", node.name), || async {
            let page = timeline(node).await?;
            for title in &acknowledged {
                ensure!(
                    page.contains(title),
                    "{} lacks the acknowledged post {title:?}",
                    node.name
                );
            }
            Ok(())
        })
        .await?;
    }
    console::print(format!(
        "ok  Bob's node was killed after {} ms; all {} acknowledged posts are on every node",
        kill_after.as_millis(),
        acknowledged.len()
    ));
    Ok(())
}

/// A node that was stopped during an edit and a withdrawal gets both.
async fn catch_up_after_a_stop(
    alice: &DemoNode,
    bob: &DemoNode,
    carol: &mut DemoNode,
) -> Result<()> {
    let edited = post(alice, "Written in pencil", "The first version.").await?;
    let withdrawn = post(alice, "Said too soon", "Never mind.").await?;
    until("both posts on Carol's node", || async {
        let page = timeline(carol).await?;
        ensure!(
            page.contains("Written in pencil") && page.contains("Said too soon"),
            "a post is missing"
        );
        Ok(())
    })
    .await?;
    carol.stop().await?;
    alice
        .ask(Request::Edit {
            id: edited,
            title: "Written in ink".to_owned(),
            text: "The second version.".to_owned(),
        })
        .await?;
    alice.ask(Request::Withdraw { id: withdrawn }).await?;
    carol.start().await.context("start after the changes")?;
    for node in [&*carol, bob, alice] {
        until(&format!("the changes on {}'s node", node.name), || async {
            let page = timeline(node).await?;
            ensure!(page.contains("Written in ink"), "{} lacks the edit", node.name);
            ensure!(
                !page.contains("Written in pencil"),
                "{} still shows the text before the edit",
                node.name
            );
            ensure!(
                !page.contains("Said too soon"),
                "{} still shows the withdrawn post",
                node.name
            );
            Ok(())
        })
        .await?;
    }
    console::print("ok  Carol's node was stopped during an edit and a withdrawal, and has both");
    Ok(())
}

/// A message to a stopped node waits in the queue.
async fn queue_mail_for_a_stopped_node(alice: &DemoNode, bob: &mut DemoNode) -> Result<()> {
    bob.stop().await?;
    send_mail(alice, bob, "Kept for you", "Nobody was in, so I left it with the neighbours.")
        .await?;
    bob.start().await?;
    until("the queued message", || async {
        let found = bob.count_messages("Kept for you").await?;
        ensure!(found == 1, "the inbox has {found} of them");
        Ok(())
    })
    .await?;
    console::print("ok  a message to a stopped node waited in the queue and was delivered once");
    Ok(())
}
