//! Input cut into lines, and what is too long to be one.

use super::{Session, State};
use crate::smtp::command::Command;
use crate::smtp::reply::Reply;

/// The longest command line, in bytes with its end; RFC 5321 4.5.3.1.4 asks for 512 and its
/// extensions for more.
const COMMAND_LEN_MAX: usize = 2048;
/// The longest line of a login, in bytes with its end (RFC 4954 4).
pub(super) const AUTH_LEN_MAX: usize = 12_288;
/// How much of an over-long line is skipped to find its end before the connection is closed
/// instead, in bytes.
const SKIP_LEN_MAX: usize = 64 * 1024;

impl Session {
    /// Takes one line off the input (RFC 5321 2.3.8: it ends with CR LF). A line that ends with LF
    /// alone is told so.
    pub(super) fn line(&mut self, input: &[u8]) -> usize {
        let len_max =
            if matches!(self.state, State::Auth(_)) { AUTH_LEN_MAX } else { COMMAND_LEN_MAX };
        let Some(end) = input.iter().take(len_max).position(|byte| *byte == b'\n') else {
            if input.len() < len_max {
                return 0;
            }
            let back = std::mem::replace(&mut self.state, State::Ready);
            self.state = State::Skipping(0, Box::new(back));
            return self.skip(input);
        };
        let line = input.get(..end).unwrap_or_default();
        let pipelined = input.len() > end + 1;
        match line.strip_suffix(b"\r").map(std::str::from_utf8) {
            None => self.junk(Reply::new(500, "5.5.2", "a line ends with CR LF")),
            Some(Err(_)) => self.junk(Reply::new(500, "5.5.2", "a command is ASCII or UTF-8")),
            Some(Ok(line)) => match self.state {
                State::Auth(_) => self.auth_line(line),
                _ => self.command_line(line, pipelined),
            },
        }
        end + 1
    }

    /// Passes over the rest of a line that is too long, then says so.
    pub(super) fn skip(&mut self, input: &[u8]) -> usize {
        let State::Skipping(gone, back) = &mut self.state else { return 0 };
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
            *gone += input.len();
            if *gone > SKIP_LEN_MAX {
                self.close(Reply::closing("4.7.0", "the line has no end, goodbye"));
            }
            return input.len();
        };
        self.state = std::mem::replace(back, State::Ready);
        self.junk(Reply::new(500, "5.5.2", "the line is too long"));
        end + 1
    }

    pub(super) fn command_line(&mut self, line: &str, pipelined: bool) {
        match Command::parse(line) {
            Ok(command) => self.command(command, pipelined),
            Err(error) => self.wrong_command(error),
        }
    }
}
