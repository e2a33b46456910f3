//! Parses command lines (RFC 5321 4.1.1 and the extensions that this server offers).

use super::address::{Mailbox, is_domain};
use super::envelope::{Recipient, Sender};

mod parameters;

/// The longest greeting name, in bytes (RFC 5321 4.5.3.1.2).
const HELLO_LEN_MAX: usize = 255;

/// A parsed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// RFC 5321 4.1.1.1.
    Ehlo(String),
    /// RFC 5321 4.1.1.1.
    Helo(String),
    /// RFC 3207.
    StartTls,
    /// RFC 4954.
    Auth {
        /// The mechanism's name in capitals.
        mechanism: String,
        /// The initial response, still encoded.
        initial: Option<String>,
    },
    /// RFC 5321 4.1.1.2.
    Mail(Sender),
    /// RFC 5321 4.1.1.3.
    Rcpt(Recipient),
    /// RFC 5321 4.1.1.4.
    Data,
    /// RFC 3030 2.
    Bdat {
        /// The chunk's length in bytes.
        len: u64,
        /// The message ends with it.
        last: bool,
    },
    /// RFC 5321 4.1.1.5.
    Rset,
    /// RFC 5321 4.1.1.9.
    Noop,
    /// RFC 5321 4.1.1.6.
    Vrfy,
    /// RFC 5321 4.1.1.8.
    Help,
    /// RFC 5321 4.1.1.10.
    Quit,
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// No such command.
    #[error("unknown command")]
    Unknown,
    /// A standard command that this server does not offer.
    #[error("this command is not offered")]
    NotOffered,
    /// An HTTP method: a web page may make a browser connect to this port.
    #[error("HTTP is not served on this port")]
    Http,
    /// The arguments are malformed, as the text explains.
    #[error("{0}")]
    Syntax(&'static str),
    /// The address is malformed.
    #[error("not a valid address")]
    Address,
    /// A parameter of an extension that is not offered.
    #[error("unknown parameter")]
    Parameter,
    /// A parameter with an invalid value, or given twice.
    #[error("a parameter has a wrong value")]
    Value,
}

impl Command {
    /// Parses one line, without its line end.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn parse(line: &str) -> Result<Self, CommandError> {
        let line = line.trim_end_matches([' ', '\t']);
        let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let rest = rest.trim_start_matches([' ', '\t']);
        if line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(CommandError::Syntax("control characters are not allowed"));
        }
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => hello(rest).map(Self::Ehlo),
            "HELO" => hello(rest).map(Self::Helo),
            "STARTTLS" => bare(rest, Self::StartTls),
            "AUTH" => auth(rest),
            "MAIL" => mail(rest).map(Self::Mail),
            "RCPT" => rcpt(rest).map(Self::Rcpt),
            "DATA" => bare(rest, Self::Data),
            "BDAT" => bdat(rest),
            "RSET" => bare(rest, Self::Rset),
            "NOOP" => Ok(Self::Noop),
            "VRFY" if !rest.is_empty() => Ok(Self::Vrfy),
            "VRFY" => Err(CommandError::Syntax("VRFY needs an address")),
            "HELP" => Ok(Self::Help),
            "QUIT" => bare(rest, Self::Quit),
            "EXPN" | "ETRN" | "ATRN" | "TURN" | "BURL" | "SEND" | "SOML" | "SAML" => {
                Err(CommandError::NotOffered)
            }
            "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE"
            | "PATCH" | "PRI" => Err(CommandError::Http),
            _ => Err(CommandError::Unknown),
        }
    }
}

fn bare(rest: &str, command: Command) -> Result<Command, CommandError> {
    if rest.is_empty() {
        Ok(command)
    } else {
        Err(CommandError::Syntax("this command takes no argument"))
    }
}

/// RFC 5321 4.1.1.1. The name is required, but a wrong one is no reason to refuse mail (4.1.4).
fn hello(rest: &str) -> Result<String, CommandError> {
    let name = rest.split([' ', '\t']).next().unwrap_or_default();
    if name.is_empty() || name.len() > HELLO_LEN_MAX {
        return Err(CommandError::Syntax("a host name is missing"));
    }
    Ok(name.to_owned())
}

/// RFC 4954 4.
fn auth(rest: &str) -> Result<Command, CommandError> {
    let mut arguments = rest.split_ascii_whitespace();
    let mechanism = arguments
        .next()
        .ok_or(CommandError::Syntax("AUTH needs a mechanism"))?
        .to_ascii_uppercase();
    let initial = arguments.next().map(str::to_owned);
    match arguments.next() {
        None => Ok(Command::Auth { mechanism, initial }),
        Some(_) => Err(CommandError::Syntax("AUTH takes a mechanism and at most one response")),
    }
}

/// RFC 3030 2.
fn bdat(rest: &str) -> Result<Command, CommandError> {
    const WANTED: CommandError = CommandError::Syntax("BDAT wants a length and perhaps LAST");
    let mut arguments = rest.split_ascii_whitespace();
    let digits = arguments.next().ok_or(WANTED)?;
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(WANTED);
    }
    // A number that overflows is over the size limit: the session refuses it.
    let len = digits.parse().unwrap_or(u64::MAX);
    let last = match arguments.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case("LAST") => true,
        Some(_) => return Err(WANTED),
    };
    if arguments.next().is_some() { Err(WANTED) } else { Ok(Command::Bdat { len, last }) }
}

/// RFC 5321 4.1.1.2 with the parameters of RFC 1870, 6152, 6531, 3461 and 4954.
fn mail(rest: &str) -> Result<Sender, CommandError> {
    let (path, parameters) =
        path(rest, "FROM:", CommandError::Syntax("the syntax is MAIL FROM:<address>"))?;
    let mailbox = if path.is_empty() {
        None
    } else {
        Some(Mailbox::parse(path).ok_or(CommandError::Address)?)
    };
    let mut sender = Sender { mailbox, ..Sender::default() };
    parameters::mail(&mut sender, parameters)?;
    Ok(sender)
}

/// RFC 5321 4.1.1.3 with the parameters of RFC 3461.
fn rcpt(rest: &str) -> Result<Recipient, CommandError> {
    let (path, parameters) =
        path(rest, "TO:", CommandError::Syntax("the syntax is RCPT TO:<address>"))?;
    let mailbox = if path.eq_ignore_ascii_case("postmaster") {
        None
    } else {
        Some(Mailbox::parse(path).ok_or(CommandError::Address)?)
    };
    let mut recipient = Recipient { mailbox, notify: None, original: None };
    parameters::rcpt(&mut recipient, parameters)?;
    Ok(recipient)
}

/// Splits `FROM:<path> parameters`. The brackets may lack, as old programs and devices leave them
/// out. A source route is dropped (RFC 5321 4.1.1.3, appendix C), and the address after it is
/// checked like any other.
fn path<'a>(
    rest: &'a str,
    keyword: &str,
    wanted: CommandError,
) -> Result<(&'a str, &'a str), CommandError> {
    let (word, after) = rest.split_at_checked(keyword.len()).ok_or(wanted)?;
    if !word.eq_ignore_ascii_case(keyword) {
        return Err(wanted);
    }
    let after = after.trim_start_matches(' ');
    let Some(inside) = after.strip_prefix('<') else {
        let end = outside_quotes(after, ' ').unwrap_or(after.len());
        let (path, parameters) = after.split_at_checked(end).ok_or(wanted)?;
        return if path.is_empty() { Err(wanted) } else { Ok((path, parameters)) };
    };
    let end = outside_quotes(inside, '>').ok_or(wanted)?;
    let (path, tail) = inside.split_at_checked(end).ok_or(wanted)?;
    let parameters = tail.strip_prefix('>').unwrap_or_default();
    if !parameters.is_empty() && !parameters.starts_with(' ') {
        return Err(wanted);
    }
    match path.strip_prefix('@') {
        None => Ok((path, parameters)),
        Some(route) => {
            let (hops, mailbox) = route.split_once(':').ok_or(CommandError::Address)?;
            let sound = hops.split(',').all(|hop| is_domain(hop.strip_prefix('@').unwrap_or(hop)));
            if sound && !mailbox.is_empty() {
                Ok((mailbox, parameters))
            } else {
                Err(CommandError::Address)
            }
        }
    }
}

/// The index of the first `wanted` outside quotes.
fn outside_quotes(inside: &str, wanted: char) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    inside.char_indices().find_map(|(at, c)| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == wanted && !quoted => return Some(at),
            _ => {}
        }
        None
    })
}

#[cfg(test)]
mod tests;
