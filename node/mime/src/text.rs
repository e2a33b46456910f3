//! Text from strangers made safe to show: one line, no control characters, no change of direction.

/// True for characters that change the direction of the text after them (UAX 9).
pub fn is_bidi_control(c: char) -> bool {
    let is_mark = matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}');
    is_mark || is_bidi_format(c)
}

/// True for those of them that reach further than their neighbours: embeddings, overrides and
/// isolates, and their ends. The marks are not among them; Arabic and Hebrew need those.
pub fn is_bidi_format(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// True for characters that can be seen.
pub fn is_visible(c: char) -> bool {
    let is_joiner =
        matches!(c, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}');
    let is_filler = matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}');
    !(c.is_whitespace() || c.is_control() || is_joiner || is_filler || is_bidi_control(c))
}

/// `text` on one line of at most `len_max` bytes, without control characters, characters that
/// change the direction, and byte order marks.
pub fn one_line(text: &str, len_max: usize) -> String {
    let mut line = String::new();
    let is_gap = |c: char| c.is_whitespace() || c.is_control();
    for word in text.split(is_gap).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !is_bidi_control(*c) && *c != '\u{feff}'));
        if line.len() > len_max {
            break;
        }
    }
    line.truncate(line.floor_char_boundary(len_max));
    line.trim().to_owned()
}

/// A file name that is safe to show and to save: the last part of a path in either style, on one
/// line, without characters that file systems refuse. Empty if nothing is left.
pub fn file_name(name: &str, len_max: usize) -> String {
    let name = one_line(name, usize::MAX);
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = last.chars().filter(|c| !"<>:\"|?*".contains(*c)).collect();
    let safe = safe.trim_matches(|c: char| c.is_whitespace()).trim_start_matches('.');
    if safe.len() <= len_max {
        return safe.trim_end_matches(['.', ' ']).to_owned();
    }
    // The extension says what the file is.
    let (stem, extension) = match safe.rfind('.').map(|at| safe.split_at(at)) {
        Some((stem, extension)) if extension.len() <= 16 => (stem, extension),
        _ => (safe, ""),
    };
    let stem_len = stem.floor_char_boundary(len_max.saturating_sub(extension.len()));
    format!("{}{extension}", stem.get(..stem_len).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_no_control_or_direction() {
        assert_eq!(one_line(" a\r\n\tb\u{202e}c\0d ", 100), "a bc d");
        assert_eq!(one_line("\u{feff}äöü", 3), "ä");
    }

    #[test]
    fn file_name_has_no_path() {
        for (name, safe) in [
            ("inv\u{202e}xcod.exe", "invxcod.exe"),
            ("../../etc/passwd", "passwd"),
            ("C:\\new\\letter.doc", "letter.doc"),
            (".bashrc", "bashrc"),
            ("..", ""),
            ("a:b?.txt", "ab.txt"),
            ("report.pdf. ", "report.pdf"),
            ("/", ""),
        ] {
            assert_eq!(file_name(name, 100), safe, "{name}");
        }
        assert_eq!(file_name(&format!("{}.pdf", "ä".repeat(100)), 20), "ääääääää.pdf");
    }
}
