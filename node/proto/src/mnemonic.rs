//! The mnemonic: 256 bits of entropy as 24 BIP 39 words, and the three keys derived from them by
//! labelled HKDF-SHA256.
//!
//! The mnemonic is made on the owner's own computer and never stored on a node. It is the whole
//! identity: its holder can act as the person.

use bip39::Language;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::domains::{self, Domain};
use crate::keys::{KemSecret, SecretKey};
use crate::random::Random;

/// Words in a mnemonic.
pub const WORDS_COUNT: usize = 24;

/// A mnemonic of 24 words. Wiped when dropped; deliberately without `Debug` and `Display`.
#[derive(Clone)]
pub struct Mnemonic(Zeroizing<[u8; 32]>);

/// Why a text is not a mnemonic.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum MnemonicError {
    /// The number of words is not 24.
    #[error("these are {0} words, there should be 24")]
    Count(usize),
    /// A word (counted from 1) is not in the BIP 39 list.
    #[error("word {0} is not one of the list")]
    Unknown(usize),
    /// All words are in the list, but the checksum is wrong.
    #[error("a word is wrong or out of order (the words' checksum does not hold)")]
    Checksum,
}

/// The keys derived from a mnemonic.
pub struct MnemonicKeys {
    /// Signs identity ops.
    pub root: SecretKey,
    /// Unwraps the epoch keys of a KeyBackup.
    pub recovery: KemSecret,
    /// The secret of the backup's age identity (X25519).
    pub backup: Zeroizing<[u8; 32]>,
}

impl Mnemonic {
    /// A new random mnemonic.
    pub fn generate(random: &Random) -> Self {
        Self(Zeroizing::new(random.array()))
    }

    /// The mnemonic of given entropy.
    pub fn from_entropy(entropy: [u8; 32]) -> Self {
        Self(Zeroizing::new(entropy))
    }

    /// Reads 24 words, in any case and spacing; line breaks and numbering like `3.` are ignored.
    ///
    /// # Errors
    /// The wrong word, the wrong number of words, or the wrong checksum.
    pub fn parse(text: &str) -> Result<Self, MnemonicError> {
        let lower = Zeroizing::new(text.to_lowercase());
        let words: Vec<&str> = lower
            .split(|c: char| c.is_whitespace() || c == ',')
            .map(|word| word.trim_matches(|c: char| !c.is_alphabetic()))
            .filter(|word| !word.is_empty())
            .collect();
        if words.len() != WORDS_COUNT {
            return Err(MnemonicError::Count(words.len()));
        }
        let phrase = Zeroizing::new(words.join(" "));
        let mnemonic =
            bip39::Mnemonic::parse_in_normalized(Language::English, &phrase).map_err(|error| {
                match error {
                    bip39::Error::UnknownWord(at) => MnemonicError::Unknown(at + 1),
                    _ => MnemonicError::Checksum,
                }
            })?;
        let (entropy, len) = mnemonic.to_entropy_array();
        let entropy = Zeroizing::new(entropy);
        let entropy = entropy.get(..len).and_then(|entropy| entropy.try_into().ok());
        entropy.map(Self::from_entropy).ok_or(MnemonicError::Checksum)
    }

    /// The words with a space between them.
    pub fn phrase(&self) -> Zeroizing<String> {
        // 32 bytes always give 24 words. An empty phrase would not parse.
        Zeroizing::new(
            bip39::Mnemonic::from_entropy(self.0.as_slice())
                .map(|words| words.to_string())
                .unwrap_or_default(),
        )
    }

    /// The keys derived from the mnemonic.
    pub fn keys(&self) -> MnemonicKeys {
        let root = self.derive(domains::MNEMONIC_ROOT);
        let recovery = self.derive(domains::MNEMONIC_RECOVERY);
        MnemonicKeys {
            root: SecretKey::from_bytes(&root),
            recovery: KemSecret::from_bytes(*recovery),
            backup: self.derive(domains::MNEMONIC_BACKUP),
        }
    }

    fn derive(&self, label: Domain) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0u8; 32]);
        let hkdf = Hkdf::<Sha256>::new(Some(domains::MNEMONIC.bytes()), self.0.as_slice());
        // HKDF refuses only lengths over 8,160 bytes.
        let _ = hkdf.expand(label.bytes(), key.as_mut_slice());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_upper_case_mnemonic_is_parsed() {
        let mnemonic = Mnemonic::from_entropy([0x7f; 32]);
        let phrase = mnemonic.phrase();
        assert_eq!(phrase.split(' ').count(), WORDS_COUNT);
        let numbered: String = phrase
            .split(' ')
            .enumerate()
            .map(|(at, word)| format!("{}. {}\n", at + 1, word.to_uppercase()))
            .collect();
        let parsed = Mnemonic::parse(&numbered).unwrap();
        assert_eq!(parsed.keys().root.public(), mnemonic.keys().root.public());
    }

    #[test]
    fn wrong_mnemonic_word_is_named() {
        let phrase = Mnemonic::from_entropy([0; 32]).phrase();
        assert_eq!(Mnemonic::parse("abandon art").err(), Some(MnemonicError::Count(2)));
        assert_eq!(
            Mnemonic::parse(&phrase.replacen("abandon", "freehold", 1)).err(),
            Some(MnemonicError::Unknown(1))
        );
        assert_eq!(
            Mnemonic::parse(&phrase.replacen("abandon", "ability", 1)).err(),
            Some(MnemonicError::Checksum)
        );
    }

    #[test]
    fn mnemonic_keys_differ() {
        let keys = Mnemonic::from_entropy([1; 32]).keys();
        assert_ne!(keys.root.to_bytes(), keys.recovery.to_bytes());
        assert_ne!(*keys.backup, *keys.recovery.to_bytes());
    }
}
