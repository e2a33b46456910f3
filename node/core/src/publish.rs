//! Publishing: each call is one commit that holds the noun's rows, the signed entry, the outbox
//! record and what [`crate::apply`] makes of the entry.

mod homes;
mod posts;
mod profile;

pub use homes::{HomesError, homes};
pub use posts::{delete, edit, post, post_dated, saved_post};
pub use profile::{announce_profile, profile};

#[cfg(test)]
mod tests;
