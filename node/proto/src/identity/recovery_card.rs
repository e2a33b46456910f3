//! The recovery card, for the owner to print: the mnemonic, the person's id, and the addresses that
//! serve the identity log.

use std::fmt;

use super::PersonId;
use crate::mnemonic::Mnemonic;

/// Addresses on a card, at most.
pub const ADDRESSES_MAX: usize = 3;
/// Printed for an address that is not known yet, to be filled in by pen.
const BLANK: &str = "______________________________";
const COLUMNS: usize = 4;

/// A card for printing. Deliberately without `Debug`, because it holds the mnemonic.
pub struct RecoveryCard {
    mnemonic: Mnemonic,
    person: PersonId,
    addresses: Vec<String>,
}

impl RecoveryCard {
    /// A card with the first three of these addresses.
    pub fn new(
        mnemonic: Mnemonic,
        person: PersonId,
        addresses: impl IntoIterator<Item = String>,
    ) -> Self {
        Self { mnemonic, person, addresses: with_blanks(addresses.into_iter().collect()) }
    }
}

/// The first [`ADDRESSES_MAX`] addresses, followed by blanks if there are fewer.
pub fn with_blanks(addresses: Vec<String>) -> Vec<String> {
    let blanks = std::iter::repeat_n(BLANK.to_owned(), ADDRESSES_MAX);
    addresses.into_iter().chain(blanks).take(ADDRESSES_MAX).collect()
}

impl fmt::Display for RecoveryCard {
    /// Plain text, at most 78 columns wide unless an address is longer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Freehold recovery card\n")?;
        let phrase = self.mnemonic.phrase();
        let words: Vec<&str> = phrase.split_whitespace().collect();
        let rows = words.len().div_ceil(COLUMNS);
        for row in 0..rows {
            let cell = |column: usize| {
                words
                    .get(column * rows + row)
                    .map(|word| format!("{:>3} {word:<12}", column * rows + row + 1))
            };
            writeln!(f, "{}", (0..COLUMNS).filter_map(cell).collect::<String>().trim_end())?;
        }
        writeln!(f, "\nPerson {}\n\nThe identity log can be had at", self.person)?;
        for (number, address) in (1..).zip(&self.addresses) {
            writeln!(f, "  {number}. {address}")?;
        }
        write!(f, "\nWith the words and the log this person can move to any machine.")
    }
}

/// The addresses of a node for a card, best first, without those that work on this machine alone.
/// `web` is the site's own address, `libp2p` are the addresses that friends' nodes dial.
pub fn addresses(web: Option<&str>, domain: Option<&str>, libp2p: &[String]) -> Vec<String> {
    let domain = domain.filter(|domain| *domain != "localhost" && !domain.ends_with(".localhost"));
    let site = domain.map(|domain| format!("https://{domain}/.well-known/freehold"));
    let own = web.map(|url| format!("{}/.well-known/freehold", url.trim_end_matches('/')));
    let own = own.filter(|url| {
        !url.contains("localhost") && !url.contains("127.0.0.1") && Some(url) != site.as_ref()
    });
    let beyond = |address: &&String| {
        let host = address.split('/').nth(2).unwrap_or_default();
        !host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
    };
    site.into_iter()
        .chain(own)
        .chain(libp2p.iter().filter(beyond).cloned())
        .take(ADDRESSES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_card_shows_mnemonic_person_and_three_addresses() {
        let known = addresses(
            Some("https://alice.example/"),
            Some("alice.example"),
            &["/ip4/203.0.113.7/tcp/7001".to_owned()],
        );
        let card = RecoveryCard::new(Mnemonic::from_entropy([7; 32]), PersonId([1; 32]), known)
            .to_string();
        for (number, word) in (1..).zip(Mnemonic::from_entropy([7; 32]).phrase().split(' ')) {
            assert!(card.contains(&format!("{number:>3} {word}")), "word {number} in {card}");
        }
        assert!(card.contains(&format!("Person {}", PersonId([1; 32]))));
        let listed = "1. https://alice.example/.well-known/freehold\n  2. \
                      /ip4/203.0.113.7/tcp/7001\n  3. ____";
        assert!(card.contains(listed), "{card}");
        assert!(card.lines().all(|line| line.len() <= 78));
    }

    #[test]
    fn loopback_addresses_are_left_off_the_recovery_card() {
        let local = [
            "/ip4/127.0.0.1/tcp/7001".to_owned(),
            "/ip6/::1/udp/7001/quic-v1".to_owned(),
            "/ip4/0.0.0.0/tcp/1".to_owned(),
        ];
        assert!(
            addresses(Some("http://ruth.localhost:7080"), Some("ruth.localhost"), &local)
                .is_empty()
        );
        assert_eq!(addresses(None, None, &["/dns4/alice.example/tcp/7001".to_owned()]).len(), 1);
    }
}
