//! Who lives in the neighbourhood and what they have to say: `neighbourhood.toml` and the pictures
//! beside it.

use anyhow::{Context, Result};
use serde::Deserialize;

const NEIGHBOURHOOD: &str = include_str!("../../demo/neighbourhood.toml");

/// The neighbourhood.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Neighbourhood {
    pub(crate) person: Vec<Person>,
    pub(crate) mail: Vec<Mail>,
}

/// Somebody.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) login: String,
    pub(crate) strapline: String,
    pub(crate) about: String,
    pub(crate) photo: Vec<Photo>,
    pub(crate) post: Vec<Post>,
}

/// A picture.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Photo {
    pub(crate) file: String,
    pub(crate) alt: String,
    pub(crate) caption: String,
}

/// A post.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Post {
    /// How long it has been out.
    pub(crate) hours_ago: u64,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) photos: Vec<String>,
    pub(crate) text: String,
}

/// A letter.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Mail {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

impl Neighbourhood {
    /// The one that is built in.
    pub(crate) fn built_in() -> Result<Self> {
        toml::from_str(NEIGHBOURHOOD).context("the demo's own text is damaged")
    }
}

impl Post {
    /// Words of the text that can be looked for in a page: its beginning, up to anything Markdown
    /// would change.
    pub(crate) fn first_words(&self) -> String {
        let text = self.text.trim_start().trim_start_matches("## ");
        text.chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, ' ' | ','))
            .take(40)
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    /// What stands for it in a list: its title, or its first words.
    pub(crate) fn sign(&self) -> String {
        if self.title.is_empty() { self.first_words() } else { self.title.clone() }
    }
}

/// The bytes of a picture.
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
    fn everybody_has_something_to_say_and_writes_to_everybody() {
        let neighbourhood = Neighbourhood::built_in().unwrap();
        assert_eq!(neighbourhood.person.len(), 3);
        for person in &neighbourhood.person {
            for photo in &person.photo {
                assert!(picture(&photo.file).unwrap().starts_with(&[0xff, 0xd8]), "{}", photo.file);
                assert!(!photo.alt.is_empty());
            }
            for post in &person.post {
                assert!(post.sign().len() > 8, "{:?}", post.sign());
                assert!(
                    post.photos
                        .iter()
                        .all(|used| person.photo.iter().any(|photo| photo.file == *used))
                );
            }
            for other in neighbourhood.person.iter().filter(|other| other.login != person.login) {
                assert!(
                    neighbourhood
                        .mail
                        .iter()
                        .any(|mail| mail.from == person.login && mail.to == other.login)
                );
            }
        }
    }
}
