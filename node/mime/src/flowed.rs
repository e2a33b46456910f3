//! Lines of `text/plain; format=flowed` joined to paragraphs (RFC 3676 4).

/// Joins the flowed lines of a text. With `delsp` the space at the end of a flowed line is removed
/// (RFC 3676 4.1).
pub fn join(text: &str, delsp: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // The quote depth of a line that goes on in the next one.
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let depth = line.bytes().take_while(|byte| *byte == b'>').count();
        let content = line.get(depth..).unwrap_or_default();
        // RFC 3676 4.4: a stuffed space is removed.
        let content = content.strip_prefix(' ').unwrap_or(content);
        let is_signature = content == "-- ";
        if open != Some(depth) || is_signature {
            if open.is_some() {
                out.push('\n');
            }
            out.extend(std::iter::repeat_n('>', depth));
            if depth > 0 && !content.is_empty() {
                out.push(' ');
            }
        }
        let is_flowed = content.ends_with(' ') && !is_signature;
        out.push_str(if is_flowed && delsp { &content[..content.len() - 1] } else { content });
        open = is_flowed.then_some(depth);
        if !is_flowed {
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flowed_lines_are_joined() {
        for (text, joined) in [
            ("a \nb\nc\n", "a b\nc\n"),
            ("a \r\nb \r\nc", "a b c\n"),
            ("> a \n> b\nc \nd", "> a b\nc d\n"),
            (">> a \n> b", ">> a \n> b\n"),
            (" >no quote\n From x", ">no quote\nFrom x\n"),
            ("Ann \n-- \nsignature \nmore", "Ann \n-- \nsignature more\n"),
            ("a\n\nb", "a\n\nb\n"),
            (">\n> a", ">\n> a\n"),
            ("", ""),
        ] {
            assert_eq!(join(text, false), joined, "{text:?}");
        }
        assert_eq!(join("Gr \nüße \nan", true), "Grüßean\n");
    }
}
