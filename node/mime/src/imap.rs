//! What IMAP says of a message: ENVELOPE, BODY and BODYSTRUCTURE (RFC 3501 7.4.2). Delivery prints
//! them once and stores them, so that no list of messages reads a message.

pub mod body_structure;
pub mod envelope;
pub mod print;

pub use print::Printer;
