//! The photos of a post in its form: those it shows, in their order, and the newest others.

use freehold_core::audience::{Audience, Visitor};
use freehold_core::photos::{self, Photo, PhotoId};
use freehold_core::store::StoreError;

use crate::pictures::Picture;
use crate::site::Site;

/// Number of photos that are offered for a post at first, newest first, and by each button press.
pub(super) const OFFERED_LEN: usize = 24;
/// The most photos that are offered.
const OFFERED_MAX: usize = 100 * OFFERED_LEN;

/// A photo in the form.
pub(in crate::posts) struct FormPhoto {
    pub(in crate::posts) id: PhotoId,
    pub(in crate::posts) picture: Picture,
    /// True if only the owner sees it: publishing the post shows it.
    pub(in crate::posts) is_private: bool,
}

impl FormPhoto {
    fn of(photo: &Photo) -> Self {
        let is_private = photo.audience == Audience::Owner;
        Self { id: photo.id, picture: Picture::own(photo), is_private }
    }
}

/// The photos in the form.
pub(in crate::posts) struct PhotoChoice {
    /// The photos that the post shows, in order.
    pub(in crate::posts) chosen: Vec<FormPhoto>,
    /// The newest others.
    pub(in crate::posts) offered: Vec<FormPhoto>,
    /// True if there are older ones.
    pub(in crate::posts) has_more: bool,
}

impl PhotoChoice {
    /// The photos of a post that shows `chosen`, and at most `offered` others.
    pub(super) fn read(
        site: &Site,
        chosen: &[PhotoId],
        offered: usize,
    ) -> Result<Self, StoreError> {
        let len = offered.clamp(OFFERED_LEN, OFFERED_MAX);
        let mut own = Vec::new();
        for id in chosen {
            own.extend(
                photos::by_id(&site.node, &Visitor::Owner, *id)?.as_ref().map(FormPhoto::of),
            );
        }
        let newest = photos::list(&site.node, &Visitor::Owner, None, len + chosen.len() + 1)?;
        let others = newest.iter().filter(|photo| !chosen.contains(&photo.id));
        let mut offered: Vec<_> = others.take(len + 1).map(FormPhoto::of).collect();
        let has_more = offered.len() > len && len < OFFERED_MAX;
        offered.truncate(len);
        Ok(Self { chosen: own, offered, has_more })
    }

    pub(in crate::posts) fn has_private(&self) -> bool {
        self.chosen.iter().chain(&self.offered).any(|photo| photo.is_private)
    }
}

/// A change of the photos by a button of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PhotoChange {
    Earlier(PhotoId),
    Later(PhotoId),
    LeaveOut(PhotoId),
}

impl PhotoChange {
    /// The change that a button's value names: `earlier`, `later` or `leave-out`, then `-` and the
    /// photo's id.
    pub(super) fn of(intent: &str) -> Option<Self> {
        let (name, id) = intent.rsplit_once('-')?;
        let id = id.parse().ok()?;
        match name {
            "earlier" => Some(Self::Earlier(id)),
            "later" => Some(Self::Later(id)),
            "leave-out" => Some(Self::LeaveOut(id)),
            _ => None,
        }
    }

    /// Makes the change; returns a sentence about it.
    pub(super) fn apply(self, photos: &mut Vec<PhotoId>) -> String {
        let at = |id| photos.iter().position(|photo| *photo == id);
        let (from, to) = match self {
            Self::LeaveOut(id) => {
                photos.retain(|photo| *photo != id);
                return "The photo is left out. Save, and the post is without it.".to_owned();
            }
            Self::Earlier(id) => (at(id), at(id).and_then(|at| at.checked_sub(1))),
            Self::Later(id) => (at(id), at(id).map(|at| at + 1).filter(|to| *to < photos.len())),
        };
        if let (Some(from), Some(to)) = (from, to) {
            photos.swap(from, to);
        }
        match to.or(from) {
            Some(place) => format!("The photo is number {} now. Save to keep it so.", place + 1),
            None => "The post has no such photo.".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photo_moves_within_the_list_or_leaves_it() {
        let [a, b, c] = [1, 2, 3].map(|byte| PhotoId([byte; 16]));
        let after = |intent: String| {
            let mut photos = vec![a, b, c];
            PhotoChange::of(&intent).unwrap().apply(&mut photos);
            photos
        };
        for (intent, expected) in [
            (format!("earlier-{b}"), vec![b, a, c]),
            (format!("earlier-{a}"), vec![a, b, c]),
            (format!("later-{b}"), vec![a, c, b]),
            (format!("later-{c}"), vec![a, b, c]),
            (format!("leave-out-{b}"), vec![a, c]),
            (format!("later-{}", PhotoId([9; 16])), vec![a, b, c]),
        ] {
            assert_eq!(after(intent.clone()), expected, "{intent}");
        }
        for intent in ["preview", "earlier-", "earlier-x", "", "publish"] {
            assert_eq!(PhotoChange::of(intent), None, "{intent}");
        }
    }
}
