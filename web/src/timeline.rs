//! Home: what friends and the owner said, newest first, with a line where the owner had read to;
//! and a place to say something.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use freehold_core::audience::Visitor;
use freehold_core::clock::Timestamp;
use freehold_core::delivery_status;
use freehold_core::feed::EntryId;
use freehold_core::friends;
use freehold_core::identity::PersonId;
use freehold_core::markdown;
use freehold_core::posts::{self, Draft, Over, PostError, PostId};
use freehold_core::profile::Profile;
use freehold_core::timeline::{self, Cursor, Item};
use serde::Deserialize;

use crate::answer::{self, Answer, Problem};
use crate::blob_reads;
use crate::dates;
use crate::doors::PersonDoor;
use crate::frame::Frame;
use crate::friends::is_awake;
use crate::gauge::Gauge;
use crate::once;
use crate::photos::upload;
use crate::pictures::{self, Picture};
use crate::posts::{title_of, too_long};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::visitor::Owner;

const PAGE_LEN: usize = 20;
const EXCERPT_CHARS: usize = 240;
const UNFINISHED_CHARS: usize = 40;
/// How many friends the column at the side names.
const NAMED_MAX: usize = 6;

pub(crate) fn routes() -> Routes {
    Routes::new()
        .get("/home", Access::Owner, home)
        .post("/home", Access::Owner, say)
        .get("/home/timeline/{entry}", Access::Owner, whole)
        .get("/home/timeline/{entry}/{number}/{size}", Access::Owner, picture)
}

/// A post as the timeline shows it.
struct Said {
    door: PersonDoor,
    name: String,
    when: String,
    machine_time: String,
    /// Where it can be read alone.
    href: String,
    title: String,
    /// The text of a note, or how a longer post begins.
    html: String,
    pictures: Vec<Picture>,
    is_edited: bool,
    /// Where the owner changes it, if it is theirs.
    edit: Option<String>,
    /// How far it has come, if it is the owner's.
    gauge: Option<Gauge>,
    /// Whether the line "Seen already" stands above it.
    begins_seen: bool,
}

/// Somebody named at the side.
struct Named {
    door: PersonDoor,
    name: String,
}

struct Unfinished {
    href: String,
    title: String,
}

#[derive(Template)]
#[template(path = "timeline/home.html")]
struct HomePage {
    page: Frame,
    feed: Vec<Said>,
    older: Option<String>,
    /// What stands at the line between what is new and what is not.
    seen: String,
    is_first: bool,
    at_the_door: Vec<Named>,
    awake: Vec<Named>,
    unfinished: Vec<Unfinished>,
    /// What was typed and could not be said.
    typed: String,
    /// The mark of the form.
    once: String,
    fault: Option<String>,
}

#[derive(Template)]
#[template(path = "timeline/quiet.html")]
struct QuietPage {
    page: Frame,
}

#[derive(Template)]
#[template(path = "timeline/whole.html")]
struct WholePage {
    page: Frame,
    said: Said,
}

#[derive(Deserialize)]
struct Older {
    before: Option<String>,
    /// Asked for from the quiet page: the composer even though there is nothing yet.
    #[serde(default)]
    write: Option<String>,
}

async fn home(State(site): State<Site>, _: Owner, Query(query): Query<Older>) -> Answer {
    if site.node.identity.person().is_none() {
        return Ok(answer::see("/setup/words"));
    }
    let before: Option<Cursor> = query.before.as_deref().map(pictures::id).transpose()?;
    // Read first: what arrives while the page is made has not been seen.
    let newest = timeline::newest(&site.node)?;
    let page = home_page(&site, before, String::new(), None)?;
    timeline::mark_seen(&site.node, newest).await.or_else(unless_full)?;
    if page.feed.is_empty() && page.is_first && query.write.is_none() && page.at_the_door.is_empty()
    {
        return answer::page(&QuietPage { page: site.home_frame("Home", "Home")? });
    }
    answer::page(&page)
}

/// A full disk keeps nobody from reading.
fn unless_full(error: freehold_core::store::StoreError) -> Result<(), Problem> {
    match error {
        freehold_core::store::StoreError::Full => Ok(()),
        other => Err(other.into()),
    }
}

fn home_page(
    site: &Site,
    before: Option<Cursor>,
    typed: String,
    fault: Option<String>,
) -> Result<HomePage, Problem> {
    let items = timeline::page(&site.node, before, PAGE_LEN)?;
    let older = (items.len() == PAGE_LEN)
        .then(|| items.last().map(|item| item.cursor().to_string()))
        .flatten();
    let seen_from = items.iter().position(|item| item.seen).filter(|at| *at > 0);
    let mut voices = Voices::new(site)?;
    let mut feed = Vec::new();
    for (at, item) in items.into_iter().enumerate() {
        feed.push(Said { begins_seen: seen_from == Some(at), ..voices.said(item)? });
    }
    let now = site.node.clock.now();
    let awake = friends::list(&site.node)?.into_iter().filter(|friend| is_awake(friend, now));
    Ok(HomePage {
        page: site.home_frame("Home", "Home")?,
        feed,
        older,
        seen: timeline::seen_at(&site.node)?.map_or("Seen already".to_owned(), |at| {
            format!("Seen already, {}", dates::ago(at, now))
        }),
        is_first: before.is_none(),
        at_the_door: friends::requests(&site.node)?
            .into_iter()
            .take(NAMED_MAX)
            .map(|asks| Named {
                door: PersonDoor::of(&asks.from.name, &asks.from.person.0),
                name: asks.from.name,
            })
            .collect(),
        awake: awake
            .take(NAMED_MAX)
            .map(|friend| Named { door: PersonDoor::of_friend(&friend), name: friend.name })
            .collect(),
        unfinished: posts::drafts(&site.node)?
            .into_iter()
            .take(NAMED_MAX)
            .map(|draft| Unfinished {
                href: format!("/home/write/{}", draft.id),
                title: title_of(&draft, UNFINISHED_CHARS),
            })
            .collect(),
        typed,
        once: once::mark(site),
        fault,
    })
}

/// A friend who speaks in the timeline.
#[derive(Clone)]
struct Voice {
    name: String,
    door: PersonDoor,
    /// Where their site is, as their node says.
    web: Option<String>,
}

/// Whoever speaks in the timeline, looked up once per page.
struct Voices<'a> {
    site: &'a Site,
    own: Option<PersonId>,
    profile: Option<std::sync::Arc<Profile>>,
    others: HashMap<PersonId, Voice>,
    now: Timestamp,
}

impl<'a> Voices<'a> {
    fn new(site: &'a Site) -> Result<Self, Problem> {
        let (own, profile) = (site.node.identity.person(), site.profile()?);
        Ok(Self { site, own, profile, others: HashMap::new(), now: site.node.clock.now() })
    }

    fn other(&mut self, person: PersonId) -> Result<Voice, Problem> {
        if let Some(known) = self.others.get(&person) {
            return Ok(known.clone());
        }
        let (name, door) = match friends::get(&self.site.node, &person)? {
            Some(friend) => (friend.name.clone(), PersonDoor::of_friend(&friend)),
            None => (person.short(), PersonDoor::of(&person.short(), &person.0)),
        };
        let voice = Voice { name, door, web: crate::friends::site_of(self.site, &person)? };
        self.others.insert(person, voice.clone());
        Ok(voice)
    }

    fn said(&mut self, item: Item) -> Result<Said, Problem> {
        let is_own = self.own == Some(item.author);
        let path = format!("/{}/{}", dates::year(item.shown), item.slug);
        let (name, door, href) = match self.profile.as_ref().filter(|_| is_own) {
            Some(profile) => {
                (profile.name.clone(), PersonDoor::painted(&profile.name, profile.paint), path)
            }
            None => {
                let Voice { name, door, web } = self.other(item.author)?;
                let inside = format!("/home/timeline/{}", item.entry);
                (
                    name,
                    door,
                    if item.is_whole { web.map_or(inside, |web| web + &path) } else { inside },
                )
            }
        };
        let html = if item.title.is_empty() && item.is_whole {
            rendered(&item.text, &item.entry, is_own)
        } else {
            format!("<p>{}</p>", answer::escaped(&markdown::summary(&item.text, EXCERPT_CHARS)))
        };
        let gauge = if is_own {
            delivery_status::of(&self.site.node, &item.entry)?
                .and_then(|come| Gauge::of(&come, self.now))
        } else {
            None
        };
        Ok(Said {
            gauge,
            name,
            door,
            href,
            when: dates::ago(item.shown, self.now),
            machine_time: dates::machine(item.shown),
            html,
            pictures: item
                .photos
                .into_iter()
                .enumerate()
                .map(|(number, photo)| Picture::of_item(&item.entry, number, photo))
                .collect(),
            is_edited: item.edited.is_some(),
            edit: if is_own { own_edit(self.site, &item.slug)? } else { None },
            title: item.title,
            begins_seen: false,
        })
    }
}

/// Where the owner changes the post at `slug`.
fn own_edit(site: &Site, slug: &str) -> Result<Option<String>, Problem> {
    match posts::by_slug(&site.node, &Visitor::Owner, slug)? {
        Some(posts::Found::Here(post)) => Ok(Some(format!("/home/write/{}", post.id))),
        _ => Ok(None),
    }
}

fn rendered(text: &str, entry: &EntryId, is_own: bool) -> String {
    let prefix = format!("e{}-", entry.to_string().get(..8).unwrap_or_default());
    if is_own {
        markdown::render_prefixed(text, &prefix).to_string()
    } else {
        markdown::render_foreign(text, &prefix).to_string()
    }
}

/// One post alone, whole, in the version that is here.
async fn whole(State(site): State<Site>, _: Owner, Path(entry): Path<String>) -> Answer {
    let entry: EntryId = pictures::id(&entry)?;
    let item = timeline::get(&site.node, &entry)?.ok_or(Problem::NotFound)?;
    let text = timeline::text(&site.node, &entry)?.ok_or(Problem::NotFound)?;
    let is_own = site.node.identity.person() == Some(item.author);
    let said = Said { html: rendered(&text, &entry, is_own), ..Voices::new(&site)?.said(item)? };
    let title = if said.title.is_empty() { said.name.clone() } else { said.title.clone() };
    answer::page(&WholePage { page: site.home_frame(&title, "Home")?, said })
}

async fn picture(
    State(site): State<Site>,
    _: Owner,
    Path((entry, number, size)): Path<(String, u16, String)>,
) -> Answer {
    let (entry, size) = (pictures::id(&entry)?, pictures::size_of(&size).ok_or(Problem::NotFound)?);
    let reader = blob_reads::timeline_photo(&site, entry, number, size).await?;
    pictures::file(reader, pictures::JPEG, "no-store")
}

#[derive(Deserialize)]
struct Note {
    #[serde(default)]
    text: String,
    /// The form's mark.
    #[serde(default)]
    once: String,
    /// Which button.
    #[serde(default)]
    then: String,
}

/// A note: said at once, without a title.
async fn say(State(site): State<Site>, _: Owner, Form(note): Form<Note>) -> Answer {
    let text = note.text.replace("\r\n", "\n");
    let id = PostId(once::named(&site, &note.once, &[&text]));
    let draft = Draft { id: Some(id), over: Over::Nothing, text: text.clone(), ..Draft::default() };
    let done = if note.then == "photos" {
        // The words wait as a draft; the first photo joins them there.
        posts::save_draft(&site.node, draft).await.map(|saved| upload::for_post(&saved.id))
    } else {
        posts::publish_new(&site.node, draft).await.map(|_| "/home".to_owned())
    };
    let fault = match done {
        Ok(path) => return Ok(answer::see(&path)),
        // Said already: the same form was sent twice.
        Err(PostError::AlreadyPublished) => return Ok(answer::see("/home")),
        Err(PostError::Store(error)) => return Err(error.into()),
        Err(PostError::Empty) if note.then == "photos" => {
            return Ok(answer::see(upload::FOR_A_NOTE));
        }
        Err(PostError::Empty) => "There is nothing to say yet. Write a line or two.".to_owned(),
        Err(PostError::TooLong { len, len_max, .. }) => too_long(len, len_max),
        Err(error) => format!("It was not said: {error}."),
    };
    answer::page_with(StatusCode::UNPROCESSABLE_ENTITY, &home_page(&site, None, text, Some(fault))?)
}
