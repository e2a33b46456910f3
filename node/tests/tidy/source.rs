//! Rust source as tokens a rule can read: each line's code without strings and comments.

use std::path::Path;

/// One line of a source file.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// The code; the content of strings and all comments are removed.
    pub(crate) code: String,
    /// The comment, with its slashes; empty if there is none.
    pub(crate) comment: String,
    /// True if any part of a string literal is on this line.
    pub(crate) has_string: bool,
}

/// The state at a position in the source.
enum State {
    Code,
    Comment,
    /// In a block comment, at this depth.
    Block(usize),
    /// In a string; a raw one ends with this number of `#`.
    Text(Option<usize>),
}

/// Splits source into lines. Understands strings, raw strings, characters and comments.
pub(crate) fn lines(source: &str) -> Vec<Line> {
    let chars: Vec<char> = source.chars().collect();
    let (mut found, mut line, mut state, mut at) =
        (Vec::new(), Line::default(), State::Code, 0_usize);
    let is = |at: usize, text: &str| {
        text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c))
    };
    while let Some(&c) = chars.get(at) {
        if c == '\n' {
            line.has_string |= matches!(state, State::Text(_));
            found.push(std::mem::take(&mut line));
            line.has_string = matches!(state, State::Text(_));
            if matches!(state, State::Comment) {
                state = State::Code;
            }
            at += 1;
            continue;
        }
        match state {
            State::Comment => line.comment.push(c),
            State::Block(depth) => {
                line.comment.push(c);
                if is(at, "/*") {
                    state = State::Block(depth + 1);
                    at += 1;
                } else if is(at, "*/") {
                    state = if depth == 1 { State::Code } else { State::Block(depth - 1) };
                    at += 1;
                }
            }
            State::Text(None) => match c {
                '\\' if chars.get(at + 1) != Some(&'\n') => at += 1,
                '"' => {
                    line.code.push('"');
                    state = State::Code;
                }
                _ => {}
            },
            State::Text(Some(hashes)) => {
                if c == '"' && is(at + 1, &"#".repeat(hashes)) {
                    line.code.push('"');
                    at += hashes;
                    state = State::Code;
                }
            }
            State::Code => {
                let is_word = line.code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
                if is(at, "//") {
                    line.comment.push(c);
                    state = State::Comment;
                } else if is(at, "/*") {
                    line.comment.push_str("/*");
                    at += 1;
                    state = State::Block(1);
                } else if c == '"' {
                    line.code.push(c);
                    line.has_string = true;
                    state = State::Text(None);
                } else if c == 'r' && (!is_word || line.code.ends_with('b')) {
                    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
                    line.code.push(c);
                    if is(at + 1 + hashes, "\"") {
                        line.has_string = true;
                        at += hashes + 1;
                        state = State::Text(Some(hashes));
                    }
                } else if c == '\'' && chars.get(at + 1) == Some(&'\\') {
                    // An escaped character: up to the next quote after the escape.
                    at += 3;
                    while chars.get(at).is_some_and(|c| *c != '\'') {
                        at += 1;
                    }
                } else if c == '\'' && chars.get(at + 2) == Some(&'\'') {
                    at += 2;
                } else {
                    line.code.push(c);
                }
            }
        }
        at += 1;
    }
    found.push(line);
    found
}

/// True for files with tests only.
pub(crate) fn is_test_file(path: &Path) -> bool {
    path.components().any(|part| {
        ["tests", "tests.rs", "fuzz.rs", "testing", "testing.rs"]
            .iter()
            .any(|name| part.as_os_str() == *name)
    })
}

/// The code of a file as one text, without strings, comments and inline test modules.
pub(crate) fn code_without_tests(source: &str) -> String {
    let lines = lines(source);
    let starts_tests = |at: usize| {
        let next = lines.get(at + 1).map_or("", |line| line.code.trim());
        lines[at].code.trim() == "#[cfg(test)]" && next.starts_with("mod ") && next.ends_with('{')
    };
    let end = (0..lines.len()).find(|at| starts_tests(*at)).unwrap_or(lines.len());
    lines[..end].iter().map(|line| line.code.as_str()).collect::<Vec<_>>().join("\n")
}

#[test]
fn lexer_removes_strings_and_comments() {
    let source = "let a = \"x // \\\" y\"; // a \"comment\"\nlet b = br#\"crate::\"x\"#; let c = '\"'; /* d\n */ e('\\'', &'a ());\n\"1\n2\";";
    let lines = lines(source);
    let code: Vec<&str> = lines.iter().map(|line| line.code.as_str()).collect();
    assert_eq!(code, ["let a = \"\"; ", "let b = br\"; let c = ; ", " e(, &'a ());", "\"", "\";"]);
    assert_eq!(lines[0].comment, "// a \"comment\"");
    let strings: Vec<bool> = lines.iter().map(|line| line.has_string).collect();
    assert_eq!(strings, [true, true, false, true, true]);
}
