//! The base subject of a message (RFC 5256 2.1): SORT and THREAD compare subjects without the marks
//! of replies, forwards and mailing lists.

/// The base of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseSubject<'a> {
    /// The text that is left; may be empty.
    pub text: &'a str,
    /// True if a mark of a reply or a forward was removed.
    pub is_reply: bool,
}

/// White space of a decoded subject.
const WSP: [char; 4] = [' ', '\t', '\r', '\n'];

/// The base of a decoded subject, by the steps of RFC 5256 2.1. The work is linear in the length of
/// the subject.
pub fn base(subject: &str) -> BaseSubject<'_> {
    let mut text = subject;
    let mut is_reply = false;
    loop {
        // Step 2: trailers.
        loop {
            text = text.trim_end_matches(WSP);
            match strip_suffix(text, "(fwd)") {
                Some(rest) => (text, is_reply) = (rest, true),
                None => break,
            }
        }
        // Steps 3 to 5: leaders, and tags of mailing lists.
        loop {
            text = text.trim_start_matches(WSP);
            let (first, rest) = after_blobs(text);
            if let Some(rest) = after_reply(rest) {
                (text, is_reply) = (rest, true);
            } else if let Some(last) = first {
                // No reply follows these tags, so none follows after fewer of them. The last tag
                // stays if nothing else would be left.
                text = if rest.is_empty() { last } else { rest };
                break;
            } else {
                break;
            }
        }
        // Step 6: `[fwd: …]`.
        let inner = strip_prefix(text, "[fwd:").and_then(|rest| rest.strip_suffix(']'));
        match inner {
            Some(inner) => (text, is_reply) = (inner, true),
            None => return BaseSubject { text, is_reply },
        }
    }
}

/// The last of the tags at the beginning with what follows it, and what follows all of them
/// (`subj-blob`).
fn after_blobs(text: &str) -> (Option<&str>, &str) {
    let (mut last, mut rest) = (None, text);
    while let Some(after) = after_blob(rest) {
        (last, rest) = (Some(rest), after);
    }
    (last, rest)
}

/// The text after `[tag]` and white space.
fn after_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let (at, end) = inside.char_indices().find(|(_, c)| matches!(c, '[' | ']'))?;
    (end == ']')
        .then(|| inside.get(at.saturating_add(1)..).unwrap_or_default())
        .map(|rest| rest.trim_start_matches(WSP))
}

/// The text after `Re:`, `Fw:` or `Fwd:`, with a tag before the colon or without (`subj-refwd`).
fn after_reply(text: &str) -> Option<&str> {
    let rest = ["re", "fwd", "fw"].iter().find_map(|word| strip_prefix(text, word))?;
    let rest = rest.trim_start_matches(WSP);
    after_blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// Strips a prefix in any case.
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Strips a suffix in any case.
fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(subject: &str) -> (&str, bool) {
        let BaseSubject { text, is_reply } = base(subject);
        (text, is_reply)
    }

    #[test]
    fn base_subject_has_no_marks() {
        for (subject, wanted) in [
            ("the plan", ("the plan", false)),
            ("  the plan \t", ("the plan", false)),
            ("Re: the plan", ("the plan", true)),
            ("RE : fwd: Fw:the plan", ("the plan", true)),
            ("[list] the plan", ("the plan", false)),
            ("[list] [other] Re[2]: [list] the plan (FWD) (fwd) ", ("the plan", true)),
            ("[fwd: Re: the plan]", ("the plan", true)),
            ("[Fwd: [fwd: the plan (fwd)]]", ("the plan", true)),
            ("the plan (fwd)", ("the plan", true)),
            ("[list]", ("[list]", false)),
            ("[a] [b]", ("[b]", false)),
            ("Re: [list]", ("[list]", true)),
            ("Re:", ("", true)),
            ("", ("", false)),
            ("Report: the plan", ("Report: the plan", false)),
            ("re the plan", ("re the plan", false)),
            ("Re[a[b]: x", ("Re[a[b]: x", false)),
            ("[unclosed Re: x", ("[unclosed Re: x", false)),
            ("AW: the plan", ("AW: the plan", false)),
            ("[fwd: x", ("[fwd: x", false)),
            ("[fwd:]", ("", true)),
            ("re\u{e4}", ("re\u{e4}", false)),
        ] {
            assert_eq!(parts(subject), wanted, "{subject:?}");
        }
    }

    #[test]
    fn base_subject_of_hostile_text_is_linear() {
        let count = 200_000;
        for subject in [
            "[a]".repeat(count),
            format!("{}x", "[a] ".repeat(count)),
            "re:".repeat(count),
            "[a]re:".repeat(count),
            "[fwd:".repeat(count) + &"]".repeat(count),
            "(fwd)".repeat(count),
            "[fwd:[a]".repeat(count) + &"]".repeat(count),
            "[".repeat(count),
            "re[".repeat(count),
            " ".repeat(count),
        ] {
            assert!(base(&subject).text.len() <= subject.len(), "{}", &subject[..12]);
        }
    }
}
