//! Texts with formatting commands (`text/enriched`, RFC 1896; `text/richtext`, RFC 1341 7.1.3) as
//! plain text. A `<` that begins no command stays.

/// Longest name of a command, in bytes (RFC 1896 2).
const NAME_LEN_MAX: usize = 60;

/// The language of the commands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `text/enriched`.
    Enriched,
    /// `text/richtext`.
    Richtext,
}

/// The text without its commands. The result is never longer than `text`.
pub(crate) fn to_text(text: &str, form: Form) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Open `<nofill>` commands.
    let mut unfilled = 0usize;
    // False if the rest of the text may lack the end of a parameter or a comment.
    let mut has_ends = true;
    while let Some((before, from)) = rest.find('<').and_then(|at| rest.split_at_checked(at)) {
        words(&mut out, before, form, unfilled > 0);
        let Some((name, after)) = command(from) else {
            out.push('<');
            let after = from.strip_prefix('<').unwrap_or(from);
            // RFC 1896 2: a literal `<` is doubled.
            let doubled = after.strip_prefix('<').filter(|_| form == Form::Enriched);
            rest = doubled.unwrap_or(after);
            continue;
        };
        rest = after;
        match (form, name.to_ascii_lowercase().as_str()) {
            (Form::Enriched, "param") | (Form::Richtext, "comment") if has_ends => {
                match behind_end(after, name) {
                    Some(behind) => rest = behind,
                    None => has_ends = false,
                }
            }
            (Form::Enriched, "nofill") => unfilled = unfilled.saturating_add(1),
            (Form::Enriched, "/nofill") => unfilled = unfilled.saturating_sub(1),
            (Form::Richtext, "lt") => out.push('<'),
            (Form::Richtext, "nl") => out.push('\n'),
            (Form::Richtext, "paragraph" | "/paragraph" | "np") => {
                while !out.is_empty() && !out.ends_with("\n\n") {
                    out.push('\n');
                }
            }
            _ => {}
        }
    }
    words(&mut out, rest, form, unfilled > 0);
    out
}

/// Writes words between commands. RFC 1896 2: a line end is a space, and of several all but one
/// are line ends; in `text/richtext` they are a space.
fn words(out: &mut String, words: &str, form: Form, is_unfilled: bool) {
    let mut ends = 0usize;
    for c in words.chars().filter(|c| *c != '\r').map(Some).chain([None]) {
        match c {
            Some('\n') if is_unfilled => out.push('\n'),
            Some('\n') => ends = ends.saturating_add(1),
            _ => {
                if ends > 1 && form == Form::Enriched {
                    out.extend(std::iter::repeat_n('\n', ends.saturating_sub(1)));
                } else if ends > 0 && !out.ends_with([' ', '\n']) {
                    out.push(' ');
                }
                ends = 0;
                out.extend(c);
            }
        }
    }
}

/// The name of the command that a text begins with, a slash before it included, and the text
/// behind it.
fn command(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('<')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let start = usize::from(text.starts_with('/'));
    let len = text.get(start..)?.find(|c| !is_name(c))?;
    let (name, after) = text.split_at_checked(start.checked_add(len)?)?;
    let after = after.strip_prefix('>')?;
    (1..=NAME_LEN_MAX).contains(&len).then_some((name, after))
}

/// The text behind the command that ends the command of this name.
fn behind_end<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.match_indices("</").find_map(|(at, _)| {
        let (found, after) = command(text.get(at..)?)?;
        found.strip_prefix('/')?.eq_ignore_ascii_case(name).then_some(after)
    })
}
