//! SMTP: mail from other servers for the owner, and mail from the owner's programs on its way out.
//!
//! | RFC | | |
//! |---|---|---|
//! | 5321 | SMTP | whole, but for EXPN and TURN, which are not offered |
//! | 1870 | SIZE | whole |
//! | 2034, 3463, 5248 | enhanced status codes | whole |
//! | 2920 | PIPELINING | whole |
//! | 3030 | CHUNKING | whole; BINARYMIME not yet |
//! | 3207 | STARTTLS | whole |
//! | 3461 | DSN | part: parameters are read, reports of success not yet |
//! | 4616, 4954 | AUTH PLAIN | whole; AUTH LOGIN for old programs; SCRAM not yet |
//! | 6152 | 8BITMIME | whole |
//! | 6409 | submission | whole |
//! | 6531 | SMTPUTF8 | whole |
//! | 8314 | implicit TLS | whole |
//! | 9422 | LIMITS | RCPTMAX |
//! | 7208, 6376, 8601, 9989 | SPF, DKIM, results, DMARC | not yet |

pub mod address;
pub mod command;
pub mod envelope;
pub mod headers;
pub mod reply;
pub mod session;
pub mod text;
pub mod trace;
