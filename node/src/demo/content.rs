//! The demo's people, posts, photos and messages: `demo/content.toml` and the pictures beside it.

use anyhow::{Context, Result};
use serde::Deserialize;

const CONTENT: &str = include_str!("../../demo/content.toml");

/// The content of all nodes.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Content {
    pub(crate) person: Vec<Person>,
    pub(crate) mail: Vec<Mail>,
}

/// A person and their content.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) login: String,
    pub(crate) strapline: String,
    pub(crate) about: String,
    /// The colour of the avatar, as an index.
    pub(crate) avatar_colour: u8,
    pub(crate) photo: Vec<Photo>,
    pub(crate) post: Vec<Post>,
}

/// A photo.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Photo {
    pub(crate) file: String,
    pub(crate) alt: String,
    pub(crate) caption: String,
}

/// A post.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Post {
    /// The age of the post, in hours.
    pub(crate) hours_ago: u64,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) photos: Vec<String>,
    pub(crate) text: String,
}

/// A message from one person to another; both are logins.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Content {
    /// Parses the built-in content.
    pub(crate) fn built_in() -> Result<Self> {
        toml::from_str(CONTENT).context("the demo's content.toml is invalid")
    }
}

impl Post {
    /// The first words of the text that appear unchanged in the HTML, up to the first Markdown
    /// sign.
    pub(crate) fn first_words(&self) -> String {
        let text = self.text.trim_start().trim_start_matches("## ");
        text.chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, ' ' | ','))
            .take(40)
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    /// The title, or the first words of a post without one.
    pub(crate) fn label(&self) -> String {
        if self.title.is_empty() { self.first_words() } else { self.title.clone() }
    }
}

/// The bytes of a photo.
pub(crate) fn picture(file: &str) -> Result<&'static [u8]> {
    Ok(match file {
        "boards.jpg" => include_bytes!("../../demo/photos/boards.jpg"),
        "boat.jpg" => include_bytes!("../../demo/photos/boat.jpg"),
        "clouds.jpg" => include_bytes!("../../demo/photos/clouds.jpg"),
        "dawn.jpg" => include_bytes!("../../demo/photos/dawn.jpg"),
        "flats.jpg" => include_bytes!("../../demo/photos/flats.jpg"),
        "fog.jpg" => include_bytes!("../../demo/photos/fog.jpg"),
        "groyne.jpg" => include_bytes!("../../demo/photos/groyne.jpg"),
        "hills.jpg" => include_bytes!("../../demo/photos/hills.jpg"),
        "moon.jpg" => include_bytes!("../../demo/photos/moon.jpg"),
        "rain.jpg" => include_bytes!("../../demo/photos/rain.jpg"),
        "reeds.jpg" => include_bytes!("../../demo/photos/reeds.jpg"),
        "window.jpg" => include_bytes!("../../demo/photos/window.jpg"),
        other => anyhow::bail!("the demo has no picture {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_person_has_content_and_writes_to_the_others() {
        let content = Content::built_in().unwrap();
        assert_eq!(content.person.len(), 3);
        for person in &content.person {
            for photo in &person.photo {
                assert!(picture(&photo.file).unwrap().starts_with(&[0xff, 0xd8]), "{}", photo.file);
                assert!(!photo.alt.is_empty());
            }
            for post in &person.post {
                assert!(post.label().len() > 8, "{:?}", post.label());
                assert!(
                    post.photos
                        .iter()
                        .all(|used| person.photo.iter().any(|photo| photo.file == *used))
                );
            }
            for other in content.person.iter().filter(|other| other.login != person.login) {
                assert!(
                    content
                        .mail
                        .iter()
                        .any(|mail| mail.from == person.login && mail.to == other.login)
                );
            }
        }
    }
}
