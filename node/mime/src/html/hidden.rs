//! Elements that a sender hides from readers, such as the text that lists show.

/// True if a `style` attribute hides its element.
pub fn is_hiding(style: &str) -> bool {
    let mut plain = String::with_capacity(style.len());
    let mut rest = style;
    while let Some((before, comment)) = rest.split_once("/*") {
        plain.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain.to_ascii_lowercase().split(';').filter_map(|rule| rule.split_once(':')).any(
        |(name, value)| {
            let value = value.trim().trim_end_matches("!important").trim();
            let is_zero = matches!(value, "0" | "0px" | "0pt" | "0em" | "0%" | "0.0");
            match name.trim() {
                "display" => value == "none",
                "visibility" => value == "hidden",
                "opacity" | "font-size" | "max-height" => is_zero,
                "mso-hide" => value == "all",
                _ => false,
            }
        },
    )
}

/// True for a start tag whose element is hidden.
pub(super) fn hides(tag: &str) -> bool {
    let lower = tag.to_ascii_lowercase();
    if let Some((_, style)) = lower.split_once("style") {
        let value = style.trim_start().strip_prefix('=').unwrap_or_default().trim_start();
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value.get(1..).and_then(|v| v.split(quote).next()),
            _ => value.split(|c: char| c.is_whitespace() || c == '>').next(),
        };
        if value.is_some_and(is_hiding) {
            return true;
        }
    }
    let is_end = |c: char| c.is_whitespace() || matches!(c, '>' | '=' | '/');
    lower.split_once(" hidden").is_some_and(|(_, after)| after.starts_with(is_end))
}

/// The length of the content of an element with its end tag; elements of the same name may be
/// inside.
pub(super) fn element_end(rest: &str, name: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut depth = 1usize;
    for at in memchr::memchr_iter(b'<', bytes) {
        let after = bytes.get(at.checked_add(1)?..)?;
        let (is_end, after) =
            after.strip_prefix(b"/").map_or((false, after), |after| (true, after));
        let is_same = after.get(..name.len())?.eq_ignore_ascii_case(name.as_bytes())
            && after.get(name.len()).is_some_and(|byte| !byte.is_ascii_alphanumeric());
        if !is_same {
            continue;
        }
        depth = if is_end { depth.checked_sub(1)? } else { depth.saturating_add(1) };
        if depth == 0 {
            let tag_end = memchr::memchr(b'>', bytes.get(at..)?)?;
            return at.checked_add(tag_end)?.checked_add(1);
        }
    }
    None
}
