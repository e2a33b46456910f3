//! Names in a Maildir: flags as letters, and the files with keywords.

use freehold_core::mailbox::Flags;

/// The letters of the system flags (<https://cr.yp.to/proto/maildir.html>).
pub(super) const FLAGS: [(char, u8); 5] = [
    ('D', Flags::DRAFT),
    ('F', Flags::FLAGGED),
    ('R', Flags::ANSWERED),
    ('S', Flags::SEEN),
    ('T', Flags::DELETED),
];
/// The keyword of the letter P, "passed".
pub(super) const FORWARDED: &str = "$Forwarded";
/// The number of keywords that have a letter, a to z.
pub(super) const LETTERS: usize = 26;
/// The keywords of a Maildir: a line `number name` each, 0 for the letter a.
pub(super) const KEYWORDS_FILE: &str = "dovecot-keywords";
/// The keywords without a letter: a line `unique-name keyword…` for each message that has some.
pub(super) const OTHER_KEYWORDS: &str = "freehold-keywords";
