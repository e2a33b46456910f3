//! The owner's public profile: name, address, a line, a paragraph and an avatar colour.

use minicbor::{Decode, Encode};

use crate::domain_name;
use crate::events::Event;
use crate::names::{self, NAME_CHARS_MAX};
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{StoreError, Table, Tx};
use crate::text::permitted;

const LOGIN_LEN_MAX: usize = 40;
const DOMAIN_LEN_MAX: usize = 253; // RFC 1035 2.3.4
const STRAPLINE_LEN_MAX: usize = 200;
const ABOUT_LEN_MAX: usize = 2000;
const LANGUAGE_LEN_MAX: usize = 35; // RFC 5646 4.4.1
const TIME_ZONE_LEN_MAX: usize = 64;
/// The number of avatar colours.
pub const AVATAR_COLOUR_COUNT: u8 = 7;

/// The owner's public profile.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Profile {
    /// The name people see.
    #[n(0)]
    pub name: String,
    /// The local part of the address: `a-z`, `0-9` and `-`.
    #[n(1)]
    pub login: String,
    /// The domain of the address as DNS has it, in lower case.
    #[n(2)]
    pub domain: String,
    /// One line under the name; may be empty.
    #[n(3)]
    pub strapline: String,
    /// A paragraph or two, Markdown; may be empty.
    #[n(4)]
    pub about: String,
    /// The number of the avatar's colour, below [`AVATAR_COLOUR_COUNT`].
    #[n(5)]
    pub avatar_colour: u8,
    /// The time zone in which the site shows times, by its IANA name; empty means UTC.
    #[cbor(n(6), default)]
    pub time_zone: String,
    /// The language that the owner writes in, a BCP 47 tag; empty means [`LANGUAGE`].
    #[cbor(n(7), default)]
    pub language: String,
}

/// The language of an owner who has chosen none.
pub const LANGUAGE: &str = "en";

impl Profile {
    /// The tag of the language that the owner writes in.
    pub fn language(&self) -> &str {
        if self.language.is_empty() { LANGUAGE } else { &self.language }
    }
}

impl Record for Profile {
    const TABLE: Table = Table::new("profile");
    const VERSION: u8 = 1;
}

const OWNER: &[u8] = b"owner";

/// Why a profile was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// No name.
    #[error("a name is needed")]
    NoName,
    /// The name has more than [`NAME_CHARS_MAX`] characters.
    #[error("the name has {0} characters, the limit is {NAME_CHARS_MAX}")]
    LongName(usize),
    /// A part is over its limit.
    #[error("the {what} is {len} bytes, the limit is {len_max}")]
    TooLong {
        /// The part.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        len_max: usize,
    },
    /// The local part is not made of `a-z`, `0-9` and inner `-`.
    #[error("the login may have letters a to z, digits and inner dashes")]
    BadLogin,
    /// The domain is no host name.
    #[error("that is not a domain")]
    BadDomain,
    /// No language tag (BCP 47).
    #[error("{0:?} is not a language tag")]
    BadLanguage(String),
    /// Not the form of a time zone's name.
    #[error("{0:?} is not a time zone")]
    BadTimeZone(String),
    /// There is no such colour.
    #[error("there is no avatar colour {0}")]
    NoSuchAvatarColour(u8),
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The owner's profile; `None` until the node is set up.
///
/// # Errors
/// When the row is damaged or the store is unavailable.
pub fn get(node: &Node) -> Result<Option<Profile>, StoreError> {
    read(&node.store)
}

/// The profile as `rows` have it, for use inside a commit.
///
/// # Errors
/// As [`get`].
pub fn read(rows: &impl Rows) -> Result<Option<Profile>, StoreError> {
    row::get(rows, OWNER)
}

/// Writes a [`checked`] profile inside a commit.
pub(crate) fn put(tx: &mut Tx<'_>, profile: &Profile) -> Result<(), ProfileError> {
    row::put(tx, OWNER, profile)?;
    tx.after(Event::Public);
    Ok(())
}

/// The profile as it will be stored: trimmed, the name without control and bidi characters (UAX 9),
/// the address in lower case.
///
/// # Errors
/// When a part is not allowed.
pub fn checked(profile: Profile) -> Result<Profile, ProfileError> {
    // The name is counted as typed and refused if too long: cutting it silently would be noticed
    // too late.
    let typed = profile
        .name
        .split_whitespace()
        .map(|word| word.chars().count() + 1)
        .sum::<usize>()
        .saturating_sub(1);
    if typed > NAME_CHARS_MAX {
        return Err(ProfileError::LongName(typed));
    }
    let profile = Profile {
        name: names::plain(&profile.name),
        login: profile.login.trim().to_ascii_lowercase(),
        domain: domain_name::ascii(profile.domain.trim())
            .ok_or(ProfileError::BadDomain)?
            .into_owned(),
        strapline: permitted(&profile.strapline).trim().to_owned(),
        about: permitted(&profile.about).trim().to_owned(),
        avatar_colour: profile.avatar_colour,
        time_zone: profile.time_zone.trim().to_owned(),
        language: profile.language.trim().to_owned(),
    };
    let limits = [
        ("login", &profile.login, LOGIN_LEN_MAX),
        ("domain", &profile.domain, DOMAIN_LEN_MAX),
        ("strapline", &profile.strapline, STRAPLINE_LEN_MAX),
        ("about text", &profile.about, ABOUT_LEN_MAX),
    ];
    for (what, text, len_max) in limits {
        if text.len() > len_max {
            return Err(ProfileError::TooLong { what, len: text.len(), len_max });
        }
    }
    if profile.name.is_empty() {
        return Err(ProfileError::NoName);
    }
    if !domain_name::is_label(&profile.login) {
        return Err(ProfileError::BadLogin);
    }
    if !domain_name::is_host(&profile.domain) {
        return Err(ProfileError::BadDomain);
    }
    if !profile.language.is_empty() && !is_language(&profile.language) {
        return Err(ProfileError::BadLanguage(profile.language));
    }
    if !profile.time_zone.is_empty() && !is_time_zone(&profile.time_zone) {
        return Err(ProfileError::BadTimeZone(profile.time_zone));
    }
    if profile.avatar_colour >= AVATAR_COLOUR_COUNT {
        return Err(ProfileError::NoSuchAvatarColour(profile.avatar_colour));
    }
    Ok(profile)
}

/// True for the form of a language tag (RFC 5646 2.1): a language of two or three letters, then
/// parts of up to eight letters and digits.
pub fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    let is_part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    tag.len() <= LANGUAGE_LEN_MAX
        && (2..=3).contains(&language.len())
        && language.bytes().all(|b| b.is_ascii_alphabetic())
        && parts.all(is_part)
}

/// True for the form of a name in the IANA time zone database. Core does not know which zones
/// there are.
fn is_time_zone(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+');
    name.len() <= TIME_ZONE_LEN_MAX && name.bytes().all(is_plain)
}

/// The avatar colour of an owner who has chosen none. It depends on the address, so that avatars of
/// different people differ.
pub fn default_avatar_colour(login: &str, domain: &str) -> u8 {
    let address = format!("{login}@{domain}").to_ascii_lowercase();
    blake3::hash(address.as_bytes()).as_bytes().first().map_or(0, |byte| byte % AVATAR_COLOUR_COUNT)
}

/// The owner's mail address, `login@domain`.
pub fn address(profile: &Profile) -> String {
    format!("{}@{}", profile.login, profile.domain)
}

/// The mailboxes at the domain that reach the person who runs a mail server (RFC 5321 4.5.1, RFC
/// 2142): reports of abuse and of faults are sent there.
const ROLES: [&str; 4] = ["postmaster", "abuse", "webmaster", "hostmaster"];

/// True if mail to `address` is the owner's: `login`, `login+tag` or one of the roles (RFC 2142) at
/// the domain, or the bare `postmaster`; compared without case, the domain in both its forms.
///
/// # Errors
/// As [`get`].
pub fn owns(node: &Node, address: &str) -> Result<bool, StoreError> {
    let Some(profile) = get(node)? else { return Ok(false) };
    if address.eq_ignore_ascii_case("postmaster") {
        return Ok(true);
    }
    let Some((local, domain)) = address.rsplit_once('@') else { return Ok(false) };
    let base = local.split_once('+').map_or(local, |(base, _)| base);
    let is_role = ROLES.iter().any(|role| local.eq_ignore_ascii_case(role));
    let local_is_ours = is_role || base.eq_ignore_ascii_case(&profile.login);
    Ok(local_is_ours && domain_name::is_same(domain, &profile.domain))
}

/// Whether `user` is a user name of the owner for mail programs: the login, or any of the owner's
/// addresses. Spaces around it, which keyboards of phones add, do not count.
///
/// # Errors
/// As [`get`].
pub fn is_login_name(node: &Node, user: &str) -> Result<bool, StoreError> {
    let user = user.trim();
    Ok(owns(node, user)?
        || get(node)?.is_some_and(|profile| profile.login.eq_ignore_ascii_case(user)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestNode, profile_of};

    #[tokio::test]
    async fn login_name_is_login_or_address() {
        let alice = TestNode::new("alice").await;
        for user in ["alice", "ALICE@alice.example", " alice", "alice@alice.example ", "a@b"] {
            assert_eq!(is_login_name(&alice, user).unwrap(), user != "a@b", "{user:?}");
        }
    }

    #[test]
    fn language_tag_and_time_zone_name_are_checked() {
        for (time_zone, language) in
            [("", ""), ("America/Argentina/Buenos_Aires", "zh-Hant-TW"), ("Etc/GMT+3", "de")]
        {
            let given = Profile {
                time_zone: time_zone.into(),
                language: language.into(),
                ..profile_of("alice")
            };
            assert_eq!(checked(given.clone()), Ok(given));
        }
        for language in ["e", "english!", "de-", "\"><b>", "abcd", "de-toolongpart1"] {
            let given = Profile { language: language.into(), ..profile_of("alice") };
            assert_eq!(checked(given), Err(ProfileError::BadLanguage(language.into())));
        }
        for zone in ["../etc/passwd", "Europe/Berlin<", &"a".repeat(65)] {
            let given = Profile { time_zone: zone.into(), ..profile_of("alice") };
            assert_eq!(checked(given), Err(ProfileError::BadTimeZone(zone.into())));
        }
    }

    #[tokio::test]
    async fn international_domain_is_owned_in_both_forms() {
        let ruth = TestNode::without_owner("ruth").await;
        let profile = checked(Profile {
            domain: " Müller.example. ".into(),
            ..crate::testing::profile_of("ruth")
        });
        let profile = profile.unwrap();
        assert_eq!(profile.domain, "xn--mller-kva.example");
        ruth.store.commit(move |tx| put(tx, &profile)).await.unwrap();
        for ours in ["ruth@müller.example", "Ruth@MÜLLER.example", "ruth@xn--mller-kva.example"] {
            assert!(owns(&ruth, ours).unwrap(), "{ours}");
        }
        assert!(!owns(&ruth, "ruth@muller.example").unwrap());
        for bad in ["1.2.3.4", "a b.example", "ü\u{0}.example", "..", ""] {
            let refused = Profile { domain: bad.into(), ..crate::testing::profile_of("ruth") };
            assert_eq!(checked(refused), Err(ProfileError::BadDomain), "{bad}");
        }
    }

    #[tokio::test]
    async fn owner_has_subaddresses_and_role_addresses_in_any_case() {
        let alice = TestNode::new("alice").await;
        for ours in [
            "alice@alice.example",
            "ALICE@Alice.Example",
            "alice+shop@alice.example",
            "postmaster@alice.example",
            "Postmaster",
            "abuse@alice.example",
            "WebMaster@alice.example",
            "hostmaster@alice.example.",
        ] {
            assert!(owns(&alice, ours).unwrap(), "{ours}");
        }
        for not in [
            "bob@alice.example",
            "alice@bob.example",
            "alice",
            "abuse",
            "abuse@bob.example",
            "abuse+x@alice.example",
            "alice%bob.example@relay.example",
            "@alice.example",
            "",
            "+x@alice.example",
        ] {
            assert!(!owns(&alice, not).unwrap(), "{not}");
        }
    }
}
