//! The site as a browser sees it: each test drives the whole service in this process.

#[cfg(test)]
mod aliases;
#[cfg(test)]
mod attachments;
#[cfg(test)]
mod away;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod chosen;
#[cfg(test)]
mod compose;
#[cfg(test)]
mod conversations;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod elsewhere;
#[cfg(test)]
mod friend_mail;
#[cfg(test)]
mod friends;
#[cfg(test)]
mod html;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod import;
#[cfg(test)]
mod junk;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod list_places;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod mailbox;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod photos;
#[cfg(test)]
mod posts;
#[cfg(test)]
mod profile;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod public_pages;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod refused;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod resending;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod search;
#[cfg(test)]
mod sender_address;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod smarthost;
#[cfg(test)]
mod startup;
#[cfg(test)]
mod timeline;
#[cfg(test)]
mod unavailable;
#[cfg(test)]
mod walk;
#[cfg(test)]
mod wkd;
#[cfg(test)]
mod writing;
