//! Web and mail addresses as people write them in running text.

/// An address without the punctuation of the sentence around it. A closing bracket belongs to the
/// address if it opens inside.
pub(crate) fn without_punctuation(found: &str) -> &str {
    // Counted once: a word of a thousand brackets must not cost a thousand walks.
    let count = |bracket: char| found.matches(bracket).count();
    let open = [count('('), count('['), count('{')];
    let mut close = [count(')'), count(']'), count('}')];
    let mut rest = found;
    while let Some(last) = rest.chars().next_back() {
        let pair = ["()", "[]", "{}"].iter().position(|pair| pair.ends_with(last));
        let is_ending = match pair.and_then(|at| Some((open.get(at)?, close.get(at)?))) {
            Some((open, close)) => close > open,
            None => {
                matches!(last, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | '’')
            }
        };
        if !is_ending {
            break;
        }
        if let Some(close) = pair.and_then(|at| close.get_mut(at)) {
            *close -= 1;
        }
        rest = rest.get(..rest.len() - last.len_utf8()).unwrap_or_default();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentence_punctuation_is_no_part_of_an_address() {
        for (word, address) in [
            ("https://a.example/b.", "https://a.example/b"),
            ("https://a.example/b_(c)),", "https://a.example/b_(c)"),
            ("https://a.example/(b)", "https://a.example/(b)"),
            ("https://a.example]}).", "https://a.example"),
            ("...", ""),
        ] {
            assert_eq!(without_punctuation(word), address);
        }
        assert_eq!(without_punctuation(&format!("a{}", ")".repeat(100_000))), "a");
    }
}
