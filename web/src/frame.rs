//! What surrounds every page: the name on the lintel and the rooms beside it.

use freehold_core::profile::Profile;

use crate::assets;

/// A room in the navigation.
pub(crate) struct Room {
    pub(crate) name: &'static str,
    pub(crate) href: &'static str,
    pub(crate) is_current: bool,
    pub(crate) unread: u64,
}

/// The frame of one page.
pub(crate) struct Frame {
    /// What the window is called, before the name.
    pub(crate) title: String,
    /// Whose house it is; `Freehold` before anyone lives there.
    pub(crate) name: String,
    /// The first letter of the name, for the door.
    pub(crate) initial: String,
    /// The colour of the door.
    pub(crate) paint: u8,
    pub(crate) rooms: Vec<Room>,
    /// Whether the owner is the one who reads: the last line then leads home.
    pub(crate) is_owner: bool,
}

const PUBLIC: [(&str, &str); 3] = [("Writing", "/"), ("Photos", "/photos"), ("About", "/about")];
const HOME: [(&str, &str); 6] = [
    ("Home", "/home"),
    ("Write", "/home/write"),
    ("Photos", "/home/photos"),
    ("Mail", "/home/mail"),
    ("Friends", "/home/friends"),
    ("Settings", "/home/settings"),
];

impl Frame {
    /// A page anyone may read; `room` is the current one's name, or nothing.
    pub(crate) fn public(profile: Option<&Profile>, title: &str, room: &str) -> Self {
        let rooms = if profile.is_some() { named(&PUBLIC, room) } else { Vec::new() };
        Self::new(profile, title, rooms)
    }

    /// A page for the owner, with the number of unread letters.
    pub(crate) fn home(profile: Option<&Profile>, title: &str, room: &str, unread: u64) -> Self {
        let mut rooms = named(&HOME, room);
        if let Some(mail) = rooms.iter_mut().find(|room| room.name == "Mail") {
            mail.unread = unread;
        }
        Self { is_owner: true, ..Self::new(profile, title, rooms) }
    }

    /// The same, saying at its foot that the owner is the one who reads.
    pub(crate) fn for_owner(self, is_owner: bool) -> Self {
        Self { is_owner, ..self }
    }

    fn new(profile: Option<&Profile>, title: &str, rooms: Vec<Room>) -> Self {
        let name = profile.map_or("Freehold", |profile| &profile.name);
        Self {
            title: title.to_owned(),
            name: name.to_owned(),
            initial: initial(name),
            paint: profile.map_or(0, |profile| profile.avatar_colour),
            rooms,
            is_owner: false,
        }
    }

    /// The style sheet's address.
    pub(crate) fn styles(&self) -> &'static str {
        assets::address("paper.css")
    }

    /// The address of the one font that every page needs at once.
    pub(crate) fn font(&self) -> &'static str {
        assets::address("vollkorn.woff2")
    }
}

fn named(rooms: &[(&'static str, &'static str)], current: &str) -> Vec<Room> {
    rooms
        .iter()
        .map(|&(name, href)| Room { name, href, is_current: name == current, unread: 0 })
        .collect()
}

/// The letter on a person's door.
pub(crate) fn initial(name: &str) -> String {
    name.chars()
        .find(|c| c.is_alphanumeric())
        .map_or("?".to_owned(), |c| c.to_uppercase().collect())
}
