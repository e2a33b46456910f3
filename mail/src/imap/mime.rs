//! Messages as IMAP shows them: sections, BODYSTRUCTURE, ENVELOPE.

pub(crate) mod envelope;
pub(crate) mod section;
pub(crate) mod structure;

#[cfg(test)]
mod tests;
