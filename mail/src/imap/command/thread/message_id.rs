//! Message-IDs in header fields (RFC 5322 3.6.4), normalised as RFC 5256 3 compares them: without
//! quotes and white space.

/// The valid Message-IDs of a field in order: `<left@right>`. Anything else is skipped.
pub(super) struct MessageIds<'a> {
    rest: &'a [u8],
    id: Vec<u8>,
}

impl<'a> MessageIds<'a> {
    /// The Message-IDs of a raw value.
    pub(super) fn of(value: &'a [u8]) -> Self {
        Self { rest: value, id: Vec::new() }
    }

    /// The next Message-ID, without brackets.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        loop {
            let start = self.rest.iter().position(|byte| *byte == b'<')?;
            self.rest = self.rest.get(start.saturating_add(1)..)?;
            if self.read() {
                return Some(&self.id);
            }
        }
    }

    /// Reads an id up to its `>`; false if it is not valid. A `<` inside begins another one.
    fn read(&mut self) -> bool {
        self.id.clear();
        let (mut at, mut is_quoted, mut sign) = (0usize, false, None);
        while let Some(byte) = self.rest.get(at) {
            match byte {
                b'\\' if is_quoted => {
                    at = at.saturating_add(1);
                    self.id.extend(self.rest.get(at));
                }
                b'"' => is_quoted = !is_quoted,
                b'\r' | b'\n' => {}
                _ if is_quoted => self.id.push(*byte),
                b' ' | b'\t' => {}
                b'>' | b'<' => {
                    let next = at.saturating_add(usize::from(*byte == b'>'));
                    self.rest = self.rest.get(next..).unwrap_or_default();
                    let len = self.id.len();
                    return *byte == b'>'
                        && sign.is_some_and(|sign| sign > 0 && sign < len.saturating_sub(1));
                }
                _ => {
                    if *byte == b'@' {
                        sign = Some(self.id.len());
                    }
                    self.id.push(*byte);
                }
            }
            at = at.saturating_add(1);
        }
        self.rest = &[];
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(value: &str) -> Vec<String> {
        let (mut ids, mut all) = (MessageIds::of(value.as_bytes()), Vec::new());
        while let Some(id) = ids.next() {
            all.push(String::from_utf8_lossy(id).into_owned());
        }
        all
    }

    #[test]
    fn message_ids_are_found_and_normalised() {
        assert_eq!(all(" <a@b>\r\n\t<c@d><e@f>"), ["a@b", "c@d", "e@f"]);
        assert_eq!(all("<\"a\"@b> <\"a\\\"x y\"@b>"), ["a@b", "a\"x y@b"]);
        assert_eq!(all("Your message of \"Monday\" < a @\r\n b >"), ["a@b"]);
        assert_eq!(all("<a<b@c>"), ["b@c"]);
        assert_eq!(all("<\"a@b>c\"@d>"), ["a@b>c@d"]);
    }

    #[test]
    fn invalid_message_ids_are_skipped() {
        for value in ["", "a@b", "<>", "<@>", "<a@>", "<@b>", "<ab>", "<a@b", "<\"a@b>", "<\\"] {
            assert_eq!(all(value), Vec::<String>::new(), "{value}");
        }
        assert_eq!(all("<ab> <a@b>"), ["a@b"]);
        assert_eq!(all(&"<".repeat(1_000_000)), Vec::<String>::new());
        assert_eq!(all(&"<\"".repeat(1_000_000)), Vec::<String>::new());
    }
}
