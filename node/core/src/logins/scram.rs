//! SCRAM-SHA-256 (RFC 5802, RFC 7677) for app passwords: the keys that the store has, and the check
//! of a client's proof. The protocol's messages are parsed elsewhere.
//!
//! A SCRAM server sends a salt and an iteration count before the client proves which password it
//! has, and the owner has an app password per program. So one salt and one count serve all app
//! passwords of the node, and a proof is tried against the keys of each of them, at most 100. The
//! salt is a keyed hash that only this node can make. It is the same after every start and for
//! every user name, so that it does not tell which names exist. Equal passwords would have equal
//! keys, but app passwords are random.
//!
//! A row has StoredKey and ServerKey: they suffice to check a proof and not to make one. The client
//! derives them from the text of the password, so a row has them for the text as it was shown and
//! for the text without dashes. PLAIN ignores case and spaces too; SCRAM can't.
//!
//! A row of an earlier version has no keys. It gets them when PLAIN succeeds with it, and until
//! then SCRAM is not advertised: a program that prefers it would fail although its password is
//! right.

use hmac::{Hmac, KeyInit, Mac};
use minicbor::{Decode, Encode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::node::Node;
use crate::store::StoreError;

/// The iteration count: the least that RFC 7677 section 4 allows. More would slow down clients
/// alone, because nobody finds a password of 125 bits by guessing.
const ITERATIONS: u32 = 4096;
/// The length of an input block of SHA-256, in bytes (RFC 2104 2).
const BLOCK_LEN: usize = 64;

/// The salt and the iteration count of all app passwords of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScramParameters {
    /// The salt.
    pub salt: [u8; 16],
    /// The iteration count.
    pub iterations: u32,
}

/// A client's proof that it has an app password (RFC 5802 section 3).
#[derive(Clone)]
pub struct ScramProof {
    /// The user name.
    pub user: String,
    /// The AuthMessage: the messages that the proof signs.
    pub auth_message: String,
    /// The ClientProof.
    pub proof: [u8; 32],
}

/// The salt and the iteration count of this node.
///
/// # Errors
/// When the store is unavailable.
pub fn scram_parameters(node: &Node) -> Result<ScramParameters, StoreError> {
    Ok(ScramParameters { salt: node.keyed("scram salt", &[])?, iterations: ITERATIONS })
}

/// The keys of one app password.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(super) struct Verifier {
    #[cbor(n(0), with = "minicbor::bytes")]
    salt: [u8; 16],
    #[n(1)]
    iterations: u32,
    /// One pair for each text by which a program may know the password.
    #[n(2)]
    keys: Vec<Keys>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Keys {
    #[cbor(n(0), with = "minicbor::bytes")]
    stored: [u8; 32],
    #[cbor(n(1), with = "minicbor::bytes")]
    server: [u8; 32],
}

impl Verifier {
    /// The keys of a password that programs know by any of `texts`. Takes some milliseconds.
    pub(super) fn derive(parameters: &ScramParameters, texts: &[&str]) -> Self {
        let ScramParameters { salt, iterations } = *parameters;
        let keys = texts.iter().map(|text| Keys::derive(text, &salt, iterations)).collect();
        Self { salt, iterations, keys }
    }

    /// Whether these keys belong to the salt and count that the node sends.
    pub(super) fn is_of(&self, parameters: &ScramParameters) -> bool {
        self.salt == parameters.salt && self.iterations == parameters.iterations
    }

    /// The ServerSignature, if the client has this password. Every key is tried.
    pub(super) fn check(&self, auth_message: &[u8], proof: &[u8; 32]) -> Option<[u8; 32]> {
        let mut found = None;
        for keys in &self.keys {
            if keys.proves(auth_message, proof) {
                found = Some(mac(&keys.server, auth_message));
            }
        }
        found
    }
}

impl Keys {
    /// RFC 5802 section 3. The text is ASCII, which SASLprep (RFC 4013) does not change.
    fn derive(text: &str, salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(text.as_bytes(), salt, iterations);
        Self {
            stored: Sha256::digest(mac(&salted, b"Client Key")).into(),
            server: mac(&salted, b"Server Key"),
        }
    }

    /// Whether the proof is ClientKey XOR HMAC(StoredKey, AuthMessage), where StoredKey is the hash
    /// of ClientKey.
    fn proves(&self, auth_message: &[u8], proof: &[u8; 32]) -> bool {
        let client_key = xor(*proof, &mac(&self.stored, auth_message));
        let stored: [u8; 32] = Sha256::digest(client_key).into();
        stored.ct_eq(&self.stored).into()
    }
}

/// Hi(): PBKDF2 with HMAC-SHA-256 and one block of output (RFC 5802 section 2.2).
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> [u8; 32] {
    let hmac = keyed(password);
    let mut block: [u8; 32] =
        hmac.clone().chain_update(salt).chain_update([0, 0, 0, 1]).finalize().into_bytes().into();
    let mut salted = block;
    for _ in 1..iterations {
        block = hmac.clone().chain_update(block).finalize().into_bytes().into();
        salted = xor(salted, &block);
    }
    salted
}

fn mac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(message).finalize().into_bytes().into()
}

/// HMAC with a key of any length (RFC 2104 2): a short key is padded with zeros, a long one hashed.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let hashed = (key.len() > BLOCK_LEN).then(|| Sha256::digest(key));
    let key = hashed.as_ref().map_or(key, |hashed| hashed.as_slice());
    let mut block = [0; BLOCK_LEN];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new(&block.into())
}

fn xor(mut one: [u8; 32], other: &[u8; 32]) -> [u8; 32] {
    for (to, from) in one.iter_mut().zip(other) {
        *to ^= from;
    }
    one
}

/// The client's side of an exchange, for tests: the ClientProof and the ServerSignature.
#[cfg(any(test, feature = "testing"))]
pub fn scram_client(
    password: &str,
    parameters: &ScramParameters,
    auth_message: &[u8],
) -> ([u8; 32], [u8; 32]) {
    let salted = salted_password(password.as_bytes(), &parameters.salt, parameters.iterations);
    let client_key = mac(&salted, b"Client Key");
    let stored: [u8; 32] = Sha256::digest(client_key).into();
    let proof = xor(client_key, &mac(&stored, auth_message));
    (proof, mac(&mac(&salted, b"Server Key"), auth_message))
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;

    use super::*;

    /// The exchange of RFC 7677 section 3.
    #[test]
    fn rfc_7677_exchange_is_verified() {
        let salt = BASE64.decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salt: [u8; 16] = salt.try_into().unwrap();
        let parameters = ScramParameters { salt, iterations: 4096 };
        let auth_message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = BASE64.decode(b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let proof: [u8; 32] = proof.try_into().unwrap();
        let verifier = Verifier::derive(&parameters, &["other", "pencil"]);
        let signature = verifier.check(auth_message.as_bytes(), &proof).unwrap();
        assert_eq!(BASE64.encode(&signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(
            scram_client("pencil", &parameters, auth_message.as_bytes()),
            (proof, signature)
        );
        for bit in 0..256 {
            let mut wrong = proof;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verifier.check(auth_message.as_bytes(), &wrong), None, "bit {bit}");
        }
        assert_eq!(verifier.check(b"another message", &proof), None);
        assert_eq!(verifier.check(auth_message.as_bytes(), &[0; 32]), None);
    }

    /// RFC 4231 test case 6: a key that is longer than a block.
    #[test]
    fn hmac_hashes_a_long_key() {
        let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let tag: [u8; 32] =
            keyed(&[0xaa; 131]).chain_update(message).finalize().into_bytes().into();
        assert_eq!(
            data_encoding::HEXLOWER.encode(&tag),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
