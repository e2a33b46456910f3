//! Splits the input into command lines, and skips lines that are too long.

use super::{Session, State};
use crate::smtp::command::Command;
use crate::smtp::reply::Reply;

/// The longest command line, in bytes with its end; RFC 5321 4.5.3.1.4 asks for 512 and its
/// extensions for more.
const COMMAND_LEN_MAX: usize = 2048;
/// The longest line of a login, in bytes with its end (RFC 4954 4).
pub(super) const AUTH_LEN_MAX: usize = 12_288;
/// The most bytes of a too long line that are skipped; then the connection is closed.
const SKIP_LEN_MAX: usize = 64 * 1024;

impl Session {
    /// Consumes one line.
    pub(super) fn line(&mut self, input: &[u8]) -> usize {
        let len_max =
            if matches!(self.state, State::Auth(_)) { AUTH_LEN_MAX } else { COMMAND_LEN_MAX };
        let Some(end) = input.iter().take(len_max).position(|byte| *byte == b'\n') else {
            if input.len() < len_max {
                return 0;
            }
            let back = std::mem::replace(&mut self.state, State::Ready);
            self.state = State::Skipping(0, Box::new(back));
            return self.skip_line(input);
        };
        let line = input.get(..end).unwrap_or_default();
        let pipelined = input.len() > end + 1;
        match line.strip_suffix(b"\r").filter(|line| !line.contains(&b'\r')) {
            None => self.bare_newline(),
            Some(line) => match (std::str::from_utf8(line), &self.state) {
                (Err(_), _) => {
                    self.bad_command(Reply::new(500, "5.5.2", "commands must be ASCII or UTF-8"))
                }
                (Ok(line), State::Auth(_)) => self.auth_line(line),
                (Ok(line), _) => self.command_line(line, pipelined),
            },
        }
        end + 1
    }

    /// Closes after a bare CR or LF in commands (RFC 5321 2.3.8). Another server may have taken the
    /// lines behind it for text, so that a stranger has written them: none of them is carried out.
    fn bare_newline(&mut self) {
        self.abandon_chunks();
        self.close(Reply::closing("4.5.2", "bare CR or LF: lines must end with CR LF"));
    }

    /// Skips the rest of a line that is too long, then refuses it. A CR at the end of the input is
    /// left there until the next byte has come.
    pub(super) fn skip_line(&mut self, input: &[u8]) -> usize {
        let State::Skipping(skipped, back) = &mut self.state else { return 0 };
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
            let taken = input.strip_suffix(b"\r").unwrap_or(input).len();
            *skipped += taken;
            if *skipped > SKIP_LEN_MAX {
                self.close(Reply::closing("4.7.0", "the line is too long"));
            }
            return taken;
        };
        self.state = std::mem::replace(back, State::Ready);
        match input.get(..end).is_some_and(|line| line.ends_with(b"\r")) {
            true => self.bad_command(Reply::new(500, "5.5.2", "the line is too long")),
            false => self.bare_newline(),
        }
        end + 1
    }

    pub(super) fn command_line(&mut self, line: &str, pipelined: bool) {
        match Command::parse(line) {
            Ok(command) => self.command(command, pipelined),
            Err(error) => self.refuse_command(error),
        }
    }
}
