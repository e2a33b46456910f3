//! `freehold demo --check`: looks at everything from outside, then breaks things: kills one node in the middle of its work,
//! keeps another down through an edit and a withdrawal, and wants all of them to agree in the end.

use anyhow::{Context, Result, ensure};
use freehold_core::random::Random;

use super::furnish::{escaped, timeline, until, write_to};
use super::house::House;
use super::people::Neighbourhood;
use super::wire::{self, Browser};
use crate::control::Request;
use crate::say;

/// How many posts the killed node is in the middle of.
const POSTS_IN_FLIGHT: usize = 12;

/// Verifies all of it; an error is what did not hold.
pub(super) async fn run(neighbourhood: &Neighbourhood, houses: &mut [House]) -> Result<()> {
    say::line("ok  every timeline shows everybody's posts, every inbox has its letters");
    for (person, house) in neighbourhood.person.iter().zip(houses.iter()) {
        let mut visitor = house.visitor();
        let front = visitor.get("/").await?;
        ensure!(front.status == 200, "{}'s front page answers {}", house.name, front.status);
        let text = front.text();
        for post in &person.post {
            ensure!(
                text.contains(&escaped(&post.sign())),
                "{}'s front page lacks {:?}",
                house.name,
                post.sign()
            );
        }
        let feed = visitor.get("/feed.atom").await?;
        ensure!(
            feed.status == 200 && feed.text().contains("<feed"),
            "{}'s Atom feed answers {}",
            house.name,
            feed.status
        );
        ensure!(visitor.get("/home").await?.status != 200, "a stranger sees {}'s home", house.name);
        wire::refuses_to_relay(house.ports.smtp.port())
            .await
            .with_context(|| house.name.clone())?;
    }
    say::line("ok  front pages and feeds are public, homes are not, nobody relays");
    pictures_are_the_same(neighbourhood, houses).await?;
    let [alice, bob, carol] = houses else { anyhow::bail!("the demo has three people") };
    kill_and_return(alice, bob, carol).await?;
    away_through_changes(alice, bob, carol).await?;
    letters_wait(alice, bob).await?;
    for house in houses.iter_mut() {
        let checked = house.ask(Request::Check).await?;
        ensure!(
            checked.get("whole") == true,
            "{}'s node is not whole: {}",
            house.name,
            checked.text
        );
    }
    say::line("ok  every row, blob, seal and signature verifies on all three");
    for house in houses.iter_mut() {
        house.stop().await?;
    }
    say::line("ok  all three stopped when asked");
    Ok(())
}

/// The pictures of friends' posts, as each one's own node shows them, are the author's to the byte.
async fn pictures_are_the_same(neighbourhood: &Neighbourhood, houses: &[House]) -> Result<()> {
    let mut compared = 0;
    for (person, author) in neighbourhood.person.iter().zip(houses) {
        let posted =
            |file: &str| person.post.iter().any(|post| post.photos.iter().any(|used| used == file));
        for photo in person.photo.iter().filter(|photo| posted(&photo.file)) {
            let original = picture_of(&mut author.visitor(), "/photos", &photo.alt).await?;
            for reader in houses.iter().filter(|reader| reader.login != author.login) {
                until(&format!("{}'s picture at {}'s", author.name, reader.name), || async {
                    let shown =
                        picture_of(&mut reader.browser().await?, "/home", &photo.alt).await?;
                    ensure!(
                        shown == original,
                        "{:?} is not the same at {}'s",
                        photo.alt,
                        reader.name
                    );
                    Ok(())
                })
                .await?;
                compared += 1;
            }
        }
    }
    ensure!(compared > 0, "no picture could be compared");
    say::line(format!(
        "ok  {compared} pictures of friends' posts are shown from the friend's own node, equal to the byte"
    ));
    Ok(())
}

/// The bytes of the small size of the picture on a page that shows `alt`.
async fn picture_of(browser: &mut Browser, path: &str, alt: &str) -> Result<Vec<u8>> {
    let page = browser.get(path).await?.text();
    let said = format!("alt=\"{}\"", escaped(alt));
    let tag = page
        .split("<img")
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .find(|tag| tag.contains(&said));
    let tag = tag.with_context(|| format!("{path} does not show {alt:?}"))?;
    let source =
        tag.split(['"', ' ']).find(|word| word.starts_with('/') && word.ends_with("/400.jpg"));
    let answer = browser
        .get(source.with_context(|| format!("{path} has no small picture of {alt:?}"))?)
        .await?;
    ensure!(
        answer.status == 200 && answer.body.starts_with(&[0xff, 0xd8]),
        "the picture of {alt:?} answers {}",
        answer.status
    );
    Ok(answer.body)
}

async fn post(house: &House, title: &str, text: &str) -> Result<String> {
    let request = Request::Post {
        title: title.to_owned(),
        text: text.to_owned(),
        photos: Vec::new(),
        draft: false,
        hours_ago: 0,
    };
    house.ask(request).await?.word("id")
}

/// Kill -9 at a random moment while posts are being published: what was acknowledged is there, on
/// all three.
async fn kill_and_return(alice: &House, bob: &mut House, carol: &House) -> Result<()> {
    let random = Random::from_os().context("no randomness")?;
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
            match crate::control::ask(&data, &request).await {
                Ok(Some(_)) => acknowledged.push(title),
                _ => break,
            }
        }
        acknowledged
    });
    tokio::time::sleep(kill_after).await;
    bob.kill().await?;
    let acknowledged = publishing.await?;
    bob.start().await.context("after kill -9")?;
    for house in [&*bob, alice, carol] {
        until(&format!("{}'s timeline after the kill", house.name), || async {
            let page = timeline(house).await?;
            for title in &acknowledged {
                ensure!(
                    page.contains(title),
                    "{} lacks {title:?}, which was acknowledged",
                    house.name
                );
            }
            Ok(())
        })
        .await?;
    }
    say::line(format!(
        "ok  Bob's node was killed after {} ms; all {} acknowledged posts are everywhere",
        kill_after.as_millis(),
        acknowledged.len()
    ));
    Ok(())
}

/// A node that was down through an edit and a withdrawal learns both.
async fn away_through_changes(alice: &House, bob: &House, carol: &mut House) -> Result<()> {
    let edited = post(alice, "Written in pencil", "The first version.").await?;
    let withdrawn = post(alice, "Said too soon", "Never mind.").await?;
    until("both posts at Carol's", || async {
        let page = timeline(carol).await?;
        ensure!(
            page.contains("Written in pencil") && page.contains("Said too soon"),
            "not there yet"
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
    carol.start().await.context("after being away")?;
    for house in [&*carol, bob, alice] {
        until(&format!("the changes at {}'s", house.name), || async {
            let page = timeline(house).await?;
            ensure!(page.contains("Written in ink"), "{} lacks the edit", house.name);
            ensure!(
                !page.contains("Written in pencil"),
                "{} still shows the text before the edit",
                house.name
            );
            ensure!(
                !page.contains("Said too soon"),
                "{} still shows what was withdrawn",
                house.name
            );
            Ok(())
        })
        .await?;
    }
    say::line("ok  Carol's node was away through an edit and a withdrawal, and has both");
    Ok(())
}

/// A letter to a node that is down waits in the queue.
async fn letters_wait(alice: &House, bob: &mut House) -> Result<()> {
    bob.stop().await?;
    write_to(alice, bob, "Kept for you", "The door was shut, so I left it with the neighbours.")
        .await?;
    bob.start().await?;
    until("the letter that waited", || async {
        let found = bob.letters("Kept for you").await?;
        ensure!(found == 1, "{found} letters");
        Ok(())
    })
    .await?;
    say::line("ok  a letter to a node that was down waited and arrived, once");
    Ok(())
}
