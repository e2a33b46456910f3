//! The surroundings of every page: the owner's name, the navigation, and the style sheet.

use freehold_core::notices::Notice;
use freehold_core::profile::{LANGUAGE, Profile};
use freehold_mime::text::is_bidi_format;

use crate::assets::{self, Script};
use crate::avatar::Avatar;
use crate::done::Done;

/// A link of the navigation.
pub(crate) struct NavLink {
    pub(crate) name: &'static str,
    pub(crate) href: &'static str,
    pub(crate) is_current: bool,
    /// Unread messages; the link to the mail alone has a number above 0.
    pub(crate) unread: u64,
}

/// The surroundings of one page.
pub(crate) struct Layout {
    /// The window's title, without the owner's name.
    pub(crate) title: String,
    /// The owner's name; `Freehold` before the set-up.
    pub(crate) name: String,
    pub(crate) avatar: Avatar,
    pub(crate) nav: Vec<NavLink>,
    /// True if the owner reads: the page then links to the owner's pages, not to the login.
    pub(crate) is_owner: bool,
    /// The language of the content: the owner's on public pages. The words of the interface
    /// are English.
    pub(crate) lang: String,
    /// For the owner: the outcome of the form before this page.
    pub(crate) done: Option<String>,
    /// For the owner: why nothing can be saved now.
    pub(crate) alert: Option<String>,
    /// For the owner: notices about this node.
    pub(crate) notices: Vec<Notice>,
}

const PUBLIC: [(&str, &str); 3] = [("Writing", "/"), ("Photos", "/photos"), ("About", "/about")];
const OWNER: [(&str, &str); 6] = [
    ("Home", "/home"),
    ("Write", "/home/write"),
    ("Photos", "/home/photos"),
    ("Mail", "/home/mail"),
    ("Friends", "/home/friends"),
    ("Settings", "/home/settings"),
];

impl Layout {
    /// A page that anyone may read; `current` names its navigation link, or is empty.
    pub(crate) fn public(profile: Option<&Profile>, title: &str, current: &str) -> Self {
        let nav = if profile.is_some() { links(&PUBLIC, current) } else { Vec::new() };
        Self::new(profile, title, nav)
    }

    /// A page for the owner, with the number of unread messages.
    pub(crate) fn owner(
        profile: Option<&Profile>,
        title: &str,
        current: &str,
        unread: u64,
    ) -> Self {
        let mut nav = links(&OWNER, current);
        if let Some(mail) = nav.iter_mut().find(|link| link.name == "Mail") {
            mail.unread = unread;
        }
        let lang = LANGUAGE.to_owned();
        Self { is_owner: true, lang, ..Self::new(profile, title, nav) }
    }

    /// The same for a public page that the owner may read too: with the way home.
    pub(crate) fn for_owner(mut self, is_owner: bool) -> Self {
        if is_owner {
            self.nav.push(NavLink { name: "Home", href: "/home", is_current: false, unread: 0 });
        }
        Self { is_owner, ..self }
    }

    /// The same with one line about the outcome of a form. Only the owner's pages show it: a public
    /// page is the same for every stranger.
    pub(crate) fn saying(self, done: Done) -> Self {
        let done = done.text().filter(|_| self.is_owner);
        Self { done, ..self }
    }

    fn new(profile: Option<&Profile>, title: &str, nav: Vec<NavLink>) -> Self {
        let name = profile.map_or("Freehold", |profile| &profile.name);
        Self {
            // Beside the owner's name: a direction that the title leaves open would turn that.
            title: title.chars().filter(|c| !is_bidi_format(*c)).collect(),
            name: name.to_owned(),
            avatar: Avatar::with_colour(name, profile.map_or(0, |profile| profile.avatar_colour)),
            nav,
            is_owner: false,
            lang: profile.map_or(LANGUAGE, Profile::language).to_owned(),
            done: None,
            alert: None,
            notices: Vec::new(),
        }
    }

    /// The style sheet's address.
    pub(crate) fn styles(&self) -> &'static str {
        assets::address("paper.css")
    }

    /// The element that loads the editor's script, which improves a form for a long text.
    pub(crate) fn editor(&self) -> String {
        Script::Editor.element()
    }

    /// The element that loads the script of a page with a message.
    pub(crate) fn message_script(&self) -> String {
        Script::Message.element()
    }

    /// The element that loads the script of the mailbox.
    pub(crate) fn mailbox_script(&self) -> String {
        Script::Mailbox.element()
    }

    /// The address of the one font that every page needs at once.
    pub(crate) fn font(&self) -> &'static str {
        assets::address("vollkorn.woff2")
    }
}

fn links(links: &[(&'static str, &'static str)], current: &str) -> Vec<NavLink> {
    links
        .iter()
        .map(|&(name, href)| NavLink { name, href, is_current: name == current, unread: 0 })
        .collect()
}
