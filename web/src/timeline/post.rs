//! The posts of one timeline page, with their authors, pictures and delivery progress.

use std::collections::HashMap;
use std::sync::Arc;

use crate::markdown::{self, Author as TextAuthor};
use freehold_core::audience::Visitor;
use freehold_core::clock::Timestamp;
use freehold_core::feed::EntryId;
use freehold_core::identity::PersonId;
use freehold_core::posts;
use freehold_core::profile::Profile;
use freehold_core::shares::{self, Share};
use freehold_core::timeline::Item;
use freehold_core::{delivery_status, friends, slug, text};

use crate::avatar::Avatar;
use crate::delivery_progress::DeliveryProgress;
use crate::friends::site_of;
use crate::namesakes::Namesakes;
use crate::pictures::Picture;
use crate::problem::Problem;
use crate::site::Site;
use crate::{dates, response};

/// How much of a longer post the timeline shows, in characters.
const EXCERPT_CHARS: usize = 240;
/// The most pictures of a post in a list: more would be too small on a phone.
const PICTURES_MAX: usize = 4;

/// A post as the timeline shows it.
pub(super) struct TimelinePost {
    pub(super) avatar: Avatar,
    pub(super) name: String,
    /// The beginning of the author's id, if another person's name looks the same.
    pub(super) mark: Option<String>,
    pub(super) when: String,
    pub(super) machine_time: String,
    /// The address of the post alone.
    pub(super) href: String,
    /// Its address on a friend's own site, if that is known.
    pub(super) elsewhere: Option<String>,
    pub(super) title: String,
    /// The text of a note, or the beginning of a longer post; sanitised HTML.
    pub(super) html: String,
    /// True for the beginning of a note, which has no title to follow.
    pub(super) is_cut_note: bool,
    /// Its first pictures.
    pub(super) pictures: Vec<Picture>,
    /// The number of pictures that are left out.
    pub(super) more_pictures: usize,
    /// True if a picture comes tomorrow: the author's share of today is used up.
    pub(super) waits_for_tomorrow: bool,
    pub(super) is_edited: bool,
    /// The edit page, if the post is the owner's.
    pub(super) edit: Option<String>,
    /// `Some` if the post is the owner's and there are friends to deliver it to.
    pub(super) delivery: Option<DeliveryProgress>,
    /// True if the unread marker is shown above this post.
    pub(super) is_first_seen: bool,
}

/// A friend who wrote a post.
#[derive(Clone)]
struct Author {
    name: String,
    mark: Option<String>,
    avatar: Avatar,
    /// The address of their site, from their node.
    site: Option<String>,
}

/// The author of a post, and the addresses of the post.
struct Byline {
    name: String,
    mark: Option<String>,
    avatar: Avatar,
    href: String,
    elsewhere: Option<String>,
}

/// Renders timeline posts; looks each author up once per page.
pub(super) struct Renderer<'a> {
    site: &'a Site,
    owner: Option<PersonId>,
    profile: Option<Arc<Profile>>,
    authors: HashMap<PersonId, Author>,
    namesakes: Namesakes,
    now: Timestamp,
    /// The most pictures of a post.
    pictures_max: usize,
}

impl<'a> Renderer<'a> {
    pub(super) fn new(site: &'a Site) -> Result<Self, Problem> {
        let (owner, profile) = (site.node.identity.person(), site.profile()?);
        let now = site.node.clock.now();
        let (authors, namesakes) = (HashMap::new(), Namesakes::read(site)?);
        let pictures_max = PICTURES_MAX;
        Ok(Self { site, owner, profile, authors, namesakes, now, pictures_max })
    }

    /// The same for a page that shows one post with all its pictures.
    pub(super) fn of_one(site: &'a Site) -> Result<Self, Problem> {
        Ok(Self { pictures_max: usize::MAX, ..Self::new(site)? })
    }

    fn author(&mut self, person: PersonId) -> Result<Author, Problem> {
        if let Some(author) = self.authors.get(&person) {
            return Ok(author.clone());
        }
        let (name, avatar) = match friends::get(&self.site.node, &person)? {
            Some(friend) => (friend.name.clone(), Avatar::of_friend(&friend)),
            None => (person.short(), Avatar::of(&person.short(), &person.0)),
        };
        let mark = self.namesakes.mark_of(&name, &person);
        let author = Author { name, mark, avatar, site: site_of(self.site, &person)? };
        self.authors.insert(person, author.clone());
        Ok(author)
    }

    /// Name, avatar, the post's address at home and its address on a friend's site. A friend's
    /// post is read from what this node holds, so it can be read while the friend is offline.
    fn byline(&mut self, item: &Item, is_own: bool) -> Result<Byline, Problem> {
        let path = format!("/{}/{}", dates::year(item.shown), item.slug);
        if let Some(profile) = self.profile.as_ref().filter(|_| is_own) {
            let avatar = Avatar::with_colour(&profile.name, profile.avatar_colour);
            let name = profile.name.clone();
            return Ok(Byline { name, mark: None, avatar, href: path, elsewhere: None });
        }
        let Author { name, mark, avatar, site } = self.author(item.author)?;
        let href = format!("/home/timeline/{}", item.entry);
        let is_plain = |c: char| slug::is_slug_letter(c) || c == '-';
        let is_address = !item.slug.is_empty() && item.slug.chars().all(is_plain);
        let elsewhere = site.filter(|_| is_address).map(|site| site + &path);
        Ok(Byline { name, mark, avatar, href, elsewhere })
    }

    /// The same as [`Self::post`], with its whole `text`.
    pub(super) fn whole_post(&mut self, item: Item, text: &str) -> Result<TimelinePost, Problem> {
        let is_own = self.owner == Some(item.author);
        let Byline { elsewhere, .. } = self.byline(&item, is_own)?;
        let html = rendered(&item, text, is_own, elsewhere.as_deref());
        Ok(TimelinePost { html, is_cut_note: false, ..self.post(item)? })
    }

    fn delivery(&self, entry: &EntryId) -> Result<Option<DeliveryProgress>, Problem> {
        let status = delivery_status::of(&self.site.node, entry)?;
        Ok(status.and_then(|status| DeliveryProgress::of(&status, self.now)))
    }

    pub(super) fn post(&mut self, item: Item) -> Result<TimelinePost, Problem> {
        let is_own = self.owner == Some(item.author);
        let Byline { name, mark, avatar, href, elsewhere } = self.byline(&item, is_own)?;
        let html = if item.title.is_empty() && item.is_whole {
            rendered(&item, &item.text, is_own, elsewhere.as_deref())
        } else {
            let excerpt = text::summary(&item.text, EXCERPT_CHARS);
            format!("<p>{}</p>", response::escape_html(&excerpt))
        };
        let is_missing = item.photos.iter().any(|photo| !photo.has_small && !photo.has_large);
        let (rows, share) = (&self.site.node.store, Share::Photos(item.author));
        Ok(TimelinePost {
            waits_for_tomorrow: is_missing && shares::is_used_up(rows, self.now, share)?,
            delivery: if is_own { self.delivery(&item.entry)? } else { None },
            name,
            mark,
            avatar,
            href,
            elsewhere,
            when: dates::ago(item.shown, self.now),
            machine_time: dates::machine(item.shown),
            html,
            is_cut_note: item.title.is_empty() && !item.is_whole,
            more_pictures: item.photos.len().saturating_sub(self.pictures_max),
            pictures: item
                .photos
                .into_iter()
                .take(self.pictures_max)
                .enumerate()
                .map(|(number, photo)| Picture::of_item(&item.entry, number, photo))
                .collect(),
            is_edited: item.edited.is_some(),
            edit: if is_own { edit_page(self.site, &item.slug)? } else { None },
            title: item.title,
            is_first_seen: false,
        })
    }
}

/// The edit page of the owner's post with `slug`.
fn edit_page(site: &Site, slug: &str) -> Result<Option<String>, Problem> {
    match posts::by_slug(&site.node, &Visitor::Owner, slug)? {
        Some(posts::Found::Here(post)) => Ok(Some(format!("/home/write/{}", post.id))),
        _ => Ok(None),
    }
}

/// The text as sanitised HTML. Ids in it get a prefix, so that footnotes of different posts on one
/// page differ. `elsewhere` is its address on a friend's site.
fn rendered(item: &Item, text: &str, is_own: bool, elsewhere: Option<&str>) -> String {
    let prefix = format!("e{}-", item.entry.to_string().get(..8).unwrap_or_default());
    let author = match is_own {
        true => TextAuthor::Owner,
        false => TextAuthor::Friend { address: elsewhere },
    };
    markdown::render_one_of_many(&item.title, text, &prefix, author).to_string()
}
