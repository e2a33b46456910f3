//! Parses the tokens of RFC 3501 section 9 in one whole command with inline literals. It never
//! reads past the end and never recurses.

use super::date::{self, Day};
use super::enabled::Enabled;
use super::sequence::{End, RANGES_MAX, Set};
use super::utf7;
use freehold_core::clock::Timestamp;

/// Why a command can't be parsed: the text of the BAD response (RFC 3501 7.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError(pub(crate) &'static str);

/// A position in a command.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    has_bad_name: bool,
    is_over_limit: bool,
    enabled: Enabled,
}

impl<'a> Cursor<'a> {
    /// The beginning of a command.
    pub(crate) fn new(command: &'a [u8]) -> Self {
        let enabled = Enabled::default();
        Self { rest: command, has_bad_name: false, is_over_limit: false, enabled }
    }

    /// The same for a client that has enabled extensions.
    pub(crate) fn with(self, enabled: Enabled) -> Self {
        Self { enabled, ..self }
    }

    /// The extensions that the client has enabled.
    pub(crate) fn enabled(&self) -> Enabled {
        self.enabled
    }

    /// True if a folder's name was no modified UTF-7. Its syntax is that of any `astring`, so the
    /// command gets NO and not BAD (RFC 3501 7.1.3).
    pub(crate) fn has_bad_name(&self) -> bool {
        self.has_bad_name
    }

    /// The error of a command that RFC 3501 allows and this server does not take, as it is over a
    /// limit: it gets NO [LIMIT] (RFC 5530 3) and not BAD.
    pub(crate) fn over_limit(&mut self, text: &'static str) -> SyntaxError {
        self.is_over_limit = true;
        SyntaxError(text)
    }

    /// True after [`Cursor::over_limit`].
    pub(crate) fn is_over_limit(&self) -> bool {
        self.is_over_limit
    }

    /// The octets not yet consumed.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next octet, not consumed.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// True at the end.
    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Fails unless everything is consumed.
    pub(crate) fn done(&self) -> Result<(), SyntaxError> {
        if self.is_done() {
            Ok(())
        } else {
            Err(SyntaxError("trailing characters after the command"))
        }
    }

    /// Consumes `token` if it is next, in any case.
    pub(crate) fn eat(&mut self, token: &str) -> bool {
        let Some((head, tail)) = self.rest.split_at_checked(token.len()) else { return false };
        let found = head.eq_ignore_ascii_case(token.as_bytes());
        if found {
            self.rest = tail;
        }
        found
    }

    /// Consumes `token` or fails.
    pub(crate) fn expect(
        &mut self,
        token: &'static str,
        or: &'static str,
    ) -> Result<(), SyntaxError> {
        if self.eat(token) { Ok(()) } else { Err(SyntaxError(or)) }
    }

    /// One space.
    pub(crate) fn space(&mut self) -> Result<(), SyntaxError> {
        self.expect(" ", "a space is missing")
    }

    /// Consumes the longest run of octets for which `allowed` is true.
    pub(crate) fn run(&mut self, allowed: impl Fn(u8) -> bool) -> &'a [u8] {
        let len = self.rest.iter().position(|byte| !allowed(*byte)).unwrap_or(self.rest.len());
        let (head, tail) = self.rest.split_at_checked(len).unwrap_or((self.rest, &[]));
        self.rest = tail;
        head
    }

    /// `tag`: the characters of an astring except `+`.
    pub(crate) fn tag(&mut self) -> Result<String, SyntaxError> {
        let tag = self.run(|byte| is_astring_char(byte) && byte != b'+');
        text(tag, "a command starts with a tag")
    }

    /// `atom`.
    pub(crate) fn atom(&mut self) -> Result<String, SyntaxError> {
        text(self.run(is_atom_char), "a word is missing")
    }

    /// `astring`, as octets.
    pub(crate) fn astring(&mut self) -> Result<Vec<u8>, SyntaxError> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => {
                let run = self.run(is_astring_char);
                if run.is_empty() {
                    Err(SyntaxError("a string is missing"))
                } else {
                    Ok(run.to_vec())
                }
            }
        }
    }

    /// `string`: quoted or literal.
    pub(crate) fn string(&mut self) -> Result<Vec<u8>, SyntaxError> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => Err(SyntaxError("a quoted string or literal is missing")),
        }
    }

    /// `nstring`: a string, or `None` for NIL.
    pub(crate) fn nstring(&mut self) -> Result<Option<Vec<u8>>, SyntaxError> {
        if self.eat("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// `nstring / literal8` (RFC 5464 5, `value`).
    pub(crate) fn nstring8(&mut self) -> Result<Option<Vec<u8>>, SyntaxError> {
        if self.eat("~") { self.literal8().map(Some) } else { self.nstring() }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, SyntaxError> {
        self.expect("\"", "a quote is missing")?;
        let mut out = Vec::new();
        loop {
            out.extend_from_slice(
                self.run(|byte| !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0)),
            );
            let mut rest = self.rest.iter();
            match (rest.next(), rest.next()) {
                (Some(b'"'), _) => {
                    self.rest = self.rest.get(1..).unwrap_or(&[]);
                    // RFC 6855 3.
                    return match std::str::from_utf8(&out) {
                        Ok(_) => Ok(out),
                        Err(_) => Err(SyntaxError("a quoted string is not UTF-8")),
                    };
                }
                (Some(b'\\'), Some(escaped @ (b'"' | b'\\'))) => {
                    out.push(*escaped);
                    self.rest = self.rest.get(2..).unwrap_or(&[]);
                }
                _ => return Err(SyntaxError("a quoted string does not end")),
            }
        }
    }

    fn literal(&mut self) -> Result<Vec<u8>, SyntaxError> {
        let octets = self.literal8()?;
        if octets.contains(&0) {
            return Err(SyntaxError("a literal holds an octet of zero"));
        }
        Ok(octets)
    }

    /// A literal that may have NUL (RFC 3516 6), behind its `~`.
    fn literal8(&mut self) -> Result<Vec<u8>, SyntaxError> {
        let malformed = SyntaxError("a literal is malformed");
        self.expect("{", "a literal is missing")?;
        let len = usize::try_from(self.number64()?).map_err(|_| malformed)?;
        self.eat("+");
        self.expect("}", "a literal is malformed")?;
        if !self.eat("\r\n") && !self.eat("\n") {
            return Err(malformed);
        }
        let (octets, rest) = self.rest.split_at_checked(len).ok_or(malformed)?;
        self.rest = rest;
        Ok(octets.to_vec())
    }

    /// A number that fits 32 bits.
    pub(crate) fn number(&mut self) -> Result<u32, SyntaxError> {
        u32::try_from(self.number64()?).map_err(|_| SyntaxError("a number is too large"))
    }

    /// A number that is not zero.
    pub(crate) fn nz_number(&mut self) -> Result<u32, SyntaxError> {
        match self.number()? {
            0 => Err(SyntaxError("a number must not be zero")),
            number => Ok(number),
        }
    }

    /// `number64` (RFC 9051) and `mod-sequence-value` (RFC 7162): at most 63 bits.
    pub(crate) fn number64(&mut self) -> Result<u64, SyntaxError> {
        let digits = text(self.run(|byte| byte.is_ascii_digit()), "a number is missing")?;
        digits
            .parse()
            .ok()
            .filter(|number| *number <= i64::MAX.unsigned_abs())
            .ok_or(SyntaxError("a number is too large"))
    }

    /// `sequence-set`, with `$` (RFC 5182 3).
    pub(crate) fn set(&mut self) -> Result<Set, SyntaxError> {
        let (mut ranges, mut has_saved) = (Vec::new(), false);
        loop {
            if self.eat("$") {
                has_saved = true;
            } else {
                let from = self.end()?;
                let to = if self.eat(":") { self.end()? } else { from };
                ranges.push((from, to));
            }
            if ranges.len() > RANGES_MAX {
                return Err(self.over_limit("the set has too many ranges"));
            }
            if !self.eat(",") {
                return Ok(Set { ranges, has_saved });
            }
        }
    }

    /// `seq-number`, as a set.
    pub(crate) fn number_in_use(&mut self) -> Result<Set, SyntaxError> {
        let end = self.end()?;
        Ok(Set { ranges: vec![(end, end)], has_saved: false })
    }

    fn end(&mut self) -> Result<End, SyntaxError> {
        if self.eat("*") { Ok(End::Largest) } else { self.nz_number().map(End::Number) }
    }

    /// `mailbox`: a folder's name, decoded from modified UTF-7 unless the client has enabled UTF-8;
    /// INBOX in any case is INBOX. A name that can't be decoded is noted for
    /// [`Cursor::has_bad_name`].
    pub(crate) fn mailbox(&mut self) -> Result<String, SyntaxError> {
        let wire = self.astring()?;
        let name = self.decode(&wire);
        Ok(if name.eq_ignore_ascii_case("INBOX") { "INBOX".to_owned() } else { name })
    }

    fn decode(&mut self, wire: &[u8]) -> String {
        let name = match self.enabled.takes_utf8() {
            true => std::str::from_utf8(wire).ok().map(str::to_owned),
            false => utf7::decode_canonical(wire),
        };
        self.has_bad_name |= name.is_none();
        name.unwrap_or_default()
    }

    /// `list-mailbox`: a pattern with wildcards.
    pub(crate) fn pattern(&mut self) -> Result<String, SyntaxError> {
        let wire = match self.peek() {
            Some(b'"' | b'{') => self.string()?,
            _ => self.run(|byte| is_astring_char(byte) || matches!(byte, b'%' | b'*')).to_vec(),
        };
        // A pattern need not be a name: `&*` is one that matches none.
        Ok(match self.enabled.takes_utf8() {
            true => self.decode(&wire),
            false => {
                let lossy = || String::from_utf8_lossy(&wire).into_owned();
                utf7::decode(&wire).unwrap_or_else(lossy)
            }
        })
    }

    /// `date-time`, quoted.
    pub(crate) fn moment(&mut self) -> Result<Timestamp, SyntaxError> {
        let quoted = self.quoted()?;
        std::str::from_utf8(&quoted)
            .ok()
            .and_then(date::moment)
            .ok_or(SyntaxError("the date and time is malformed"))
    }

    /// `date`, quoted or not.
    pub(crate) fn day(&mut self) -> Result<Day, SyntaxError> {
        let day = self.astring()?;
        std::str::from_utf8(&day)
            .ok()
            .and_then(date::day)
            .ok_or(SyntaxError("the date is malformed"))
    }

    /// `flag`, with its backslash where it is a system flag.
    pub(crate) fn flag(&mut self) -> Result<String, SyntaxError> {
        let slash = self.eat("\\");
        let name = self.atom()?;
        Ok(if slash { format!("\\{name}") } else { name })
    }

    /// `(item item …)` or `()`.
    pub(crate) fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, SyntaxError>,
    ) -> Result<Vec<T>, SyntaxError> {
        self.expect("(", "a list is missing")?;
        let mut items = Vec::new();
        if self.eat(")") {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.eat(")") {
                return Ok(items);
            }
            self.space()?;
        }
    }
}

fn text(bytes: &[u8], missing: &'static str) -> Result<String, SyntaxError> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(SyntaxError(missing)),
    }
}

/// `ATOM-CHAR`.
pub(crate) fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR`: an atom's, and `]`. Octets above 127 are accepted, because some programs send
/// UTF-8 names.
pub(crate) fn is_astring_char(byte: u8) -> bool {
    is_atom_char(byte) || byte == b']' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn string_is_parsed_in_all_three_forms() {
        for input in ["alice ", "\"alice\" ", "{5}\r\nalice ", "{5+}\r\nalice "] {
            let mut cursor = Cursor::new(input.as_bytes());
            assert_eq!(cursor.astring().unwrap(), b"alice");
            assert_eq!(cursor.rest(), b" ");
        }
        assert_eq!(Cursor::new(br#""a\"b\\c""#).astring().unwrap(), br#"a"b\c"#);
        for input in [
            "",
            "\"a",
            "\"a\\b\"",
            "{5}\r\nal",
            "{x}",
            "{99999999999999999999}\r\n",
            "(",
            "\"a\r\n\"",
        ] {
            assert!(Cursor::new(input.as_bytes()).astring().is_err(), "{input}");
        }
    }

    #[test]
    fn sequence_set_and_number_bounds_are_checked() {
        let mut cursor = Cursor::new(b"1,3:*,7 ");
        assert_eq!(cursor.set().unwrap().ranges(9), [(1, 1), (3, 9)]);
        for input in ["0", "1:", "a", "", "4294967296", "1,,2"] {
            assert!(Cursor::new(input.as_bytes()).set().is_err(), "{input}");
        }
    }

    #[test]
    fn list_and_flag_tokens_are_parsed() {
        let mut cursor = Cursor::new(b"(\\Seen $Junk)x");
        assert_eq!(cursor.list(Cursor::flag).unwrap(), ["\\Seen", "$Junk"]);
        assert_eq!(cursor.rest(), b"x");
        assert_eq!(Cursor::new(b"()").list(Cursor::flag).unwrap(), Vec::<String>::new());
        assert!(Cursor::new(b"(a  b)").list(Cursor::flag).is_err());
    }
}
