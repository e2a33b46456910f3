//! The site as a browser meets it: every test drives the whole site in this process.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod door;
#[cfg(test)]
mod friends;
mod identity;
#[cfg(test)]
mod logins;
#[cfg(test)]
mod mailbox;
#[cfg(test)]
mod photos;
#[cfg(test)]
mod posts;
#[cfg(test)]
mod profile;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod setup;
#[cfg(test)]
mod startup;
#[cfg(test)]
mod timeline;
#[cfg(test)]
mod walk;
