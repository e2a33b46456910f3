//! The header of a message and the hashes of its body, gathered while it arrives.

use mail_auth::AuthenticatedMessage;
use mail_auth::common::crypto::{HashAlgorithm, HashContext, HashImpl, Sha256};
use mail_auth::dkim::Canonicalization;
use mail_auth::dkim::canonicalize::BodyHasher;

use crate::dkim::body::RelaxedBody;

/// The longest header, in bytes: one that is not read can't be checked.
const HEADER_LEN_MAX: usize = 128 * 1024;
const HEADER_END: &[u8] = b"\r\n\r\n";

/// The SHA-256 of the body in one canonical form (RFC 6376 3.4). Signatures with SHA-1 are not
/// checked (RFC 8301), nor those of a part of the body (`l=`).
struct BodyHash {
    form: Canonicalization,
    /// The relaxed form, which the hasher gets wrong at the end of some bodies.
    relaxed: Option<RelaxedBody>,
    hasher: BodyHasher<<Sha256 as HashImpl>::Context>,
}

impl BodyHash {
    fn new(form: Canonicalization) -> Self {
        let relaxed = (form == Canonicalization::Relaxed).then(RelaxedBody::default);
        Self { form, relaxed, hasher: BodyHasher::new(Sha256::hasher(), form, 0) }
    }

    fn read(&mut self, text: &[u8]) {
        match &mut self.relaxed {
            Some(relaxed) => {
                let mut out = Vec::with_capacity(text.len());
                relaxed.read(text, &mut out);
                self.hasher.write(&out);
            }
            None => self.hasher.write(text),
        }
    }

    fn finish(mut self) -> (Canonicalization, Vec<u8>) {
        if let Some(relaxed) = self.relaxed {
            let mut out = Vec::new();
            relaxed.finish(&mut out);
            self.hasher.write(&out);
        }
        let (context, _) = self.hasher.finish();
        (self.form, context.complete().as_ref().to_vec())
    }
}

/// A message that is arriving, its text with CR LF line ends.
#[derive(Default)]
pub(crate) struct Digest {
    header: Vec<u8>,
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Header,
    Body(Vec<BodyHash>),
    /// The header is too long.
    TooLong,
}

/// The header and the hashes of a whole message.
pub(crate) struct Digested {
    /// The header with its empty line; `None` if it is too long.
    header: Option<Vec<u8>>,
    hashes: Vec<(Canonicalization, Vec<u8>)>,
}

impl Digest {
    /// Takes the next piece of the text.
    pub(crate) fn read(&mut self, text: &[u8]) {
        match &mut self.state {
            State::TooLong => {}
            State::Body(hashes) => {
                for hash in hashes {
                    hash.read(text);
                }
            }
            State::Header => self.read_header(text),
        }
    }

    fn read_header(&mut self, text: &[u8]) {
        let from = self.header.len().saturating_sub(HEADER_END.len() - 1);
        self.header.extend_from_slice(text);
        // A message may begin with the empty line.
        let end = if self.header.starts_with(b"\r\n") {
            Some(2)
        } else {
            let behind = self.header.get(from..).unwrap_or_default();
            memchr::memmem::find(behind, HEADER_END).map(|at| from + at + HEADER_END.len())
        };
        match end {
            Some(end) if end <= HEADER_LEN_MAX => {
                let body = self.header.split_off(end);
                self.begin_body();
                self.read(&body);
            }
            None if self.header.len() <= HEADER_LEN_MAX => {}
            _ => {
                self.header = Vec::new();
                self.state = State::TooLong;
            }
        }
    }

    /// Hashes the body in the forms that the signatures ask for.
    fn begin_body(&mut self) {
        let wanted = AuthenticatedMessage::parse(&self.header)
            .map(|message| message.body_hashes)
            .unwrap_or_default();
        let hashes = [Canonicalization::Relaxed, Canonicalization::Simple]
            .into_iter()
            .filter(|form| wanted.iter().any(|(wanted, ..)| wanted == form))
            .map(BodyHash::new);
        self.state = State::Body(hashes.collect());
    }

    /// Whether the header is over the limit, so that nothing can be checked.
    pub(crate) fn is_header_too_long(&self) -> bool {
        matches!(self.state, State::TooLong)
    }

    /// The message ended.
    pub(crate) fn finish(mut self) -> Digested {
        if matches!(self.state, State::Header) {
            // A header without a body.
            self.header.extend_from_slice(b"\r\n");
            self.begin_body();
        }
        let State::Body(hashes) = self.state else {
            return Digested { header: None, hashes: Vec::new() };
        };
        let hashes = hashes.into_iter().map(BodyHash::finish).collect();
        Digested { header: Some(self.header), hashes }
    }
}

impl Digested {
    /// The header with its empty line; nothing if it is too long to be checked.
    pub(super) fn header(&self) -> &[u8] {
        self.header.as_deref().unwrap_or_default()
    }

    /// The message as its signatures see it; `None` without a field, or if the header is too long.
    pub(super) fn message(&self) -> Option<AuthenticatedMessage<'_>> {
        let mut message = AuthenticatedMessage::parse(self.header.as_deref()?)?;
        // The parser saw no body. An entry that stays as it is fits no body.
        for (form, algorithm, len, hash) in &mut message.body_hashes {
            let own = self.hashes.iter().find(|(own, _)| own == form);
            *hash = match own {
                Some((_, own)) if *algorithm == HashAlgorithm::Sha256 && *len == 0 => own.clone(),
                _ => Vec::new(),
            };
        }
        Some(message)
    }
}
