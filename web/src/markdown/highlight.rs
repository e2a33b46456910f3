//! Syntax highlighting of code in three classes: keywords, strings, comments. It goes by the habits
//! of a family of languages and not by a grammar; a mistake changes colours, never the text.

use std::fmt::Write;

/// A family of languages with the same comments, quotes and keywords.
struct Family {
    languages: &'static [&'static str],
    /// The beginning of a comment that ends with its line.
    line: &'static str,
    /// Whether comments may be enclosed in `/*` and `*/`.
    has_blocks: bool,
    /// The quotes around strings.
    quotes: &'static [char],
    keywords: &'static str,
}

const FAMILIES: [Family; 4] = [
    Family {
        languages: &[
            "rust", "rs", "c", "cpp", "c++", "h", "java", "kotlin", "swift", "go", "csharp", "cs",
            "zig", "scala", "dart", "php",
        ],
        line: "//",
        has_blocks: true,
        // A single quote encloses a character in some of these languages and begins a lifetime in
        // another.
        quotes: &['"'],
        keywords: "abstract as async await break case catch class const continue crate default \
                   defer do else enum extends extern false final fn for foreach from fun func \
                   function go if impl implements import in interface internal let loop match mod \
                   move mut namespace new nil null override package private protected pub public \
                   ref return self static struct super switch this throw throws trait true try \
                   type typedef union unsafe use using val var virtual void where while yield",
    },
    Family {
        languages: &["js", "javascript", "mjs", "jsx", "ts", "typescript", "tsx"],
        line: "//",
        has_blocks: true,
        quotes: &['"', '\'', '`'],
        keywords: "as async await break case catch class const continue default delete do else \
                   enum export extends false finally for from function if implements import in \
                   instanceof interface let new null of private public readonly return static \
                   super switch this throw true try type typeof undefined var void while yield",
    },
    Family {
        languages: &[
            "python", "py", "sh", "bash", "zsh", "shell", "ruby", "rb", "perl", "toml", "yaml",
            "yml", "make", "nix", "elixir", "r",
        ],
        line: "#",
        has_blocks: false,
        quotes: &['"', '\''],
        keywords: "and as assert async await begin break case class continue def del do done elif \
                   else elsif end esac except exec export False false fi finally for from function \
                   global if import in is lambda let local module my next nil None nonlocal not or \
                   pass raise rescue return self sub then True true try unless until use while \
                   with yield",
    },
    Family {
        languages: &["sql", "lua", "haskell", "hs", "ada"],
        line: "--",
        has_blocks: false,
        quotes: &['"', '\''],
        keywords: "ALTER AND AS BEGIN BY COMMIT CREATE DELETE DROP FROM GROUP INDEX INSERT INTO \
                   JOIN KEY LEFT LIMIT NOT NULL ON OR ORDER PRIMARY SELECT SET TABLE UPDATE VALUES \
                   WHERE alter and as begin break by case class commit create data delete do drop \
                   else elseif end false for from function group if import in index insert \
                   instance into join key left let limit local module nil not null of on or order \
                   primary repeat return select set table then true type until update values where \
                   while",
    },
];

/// The code as highlighted HTML; `None` for a language that is not in the list.
pub(super) fn highlighted(code: &str, language: &str) -> Option<String> {
    let language = language.split([',', ' ', '{']).next().unwrap_or_default().to_ascii_lowercase();
    let family = FAMILIES.iter().find(|family| family.languages.contains(&language.as_str()))?;
    let mut html = String::with_capacity(code.len() * 2);
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let (len, class) = family.token(rest, first);
        let (token, after) = rest.split_at(len);
        match class {
            Some(class) => {
                let _ = write!(html, "<span class=\"{class}\">");
                escape(&mut html, token);
                html.push_str("</span>");
            }
            None => escape(&mut html, token),
        }
        rest = after;
    }
    Some(html)
}

impl Family {
    /// The length of the first token of `rest` in bytes, at least one character, and its class.
    fn token(&self, rest: &str, first: char) -> (usize, Option<&'static str>) {
        if rest.starts_with(self.line) {
            return (rest.find('\n').unwrap_or(rest.len()), Some("remark"));
        }
        if self.has_blocks && rest.starts_with("/*") {
            return (rest.find("*/").map_or(rest.len(), |end| end + 2), Some("remark"));
        }
        if self.quotes.contains(&first) {
            return (string_len(rest, first), Some("text"));
        }
        if is_word(first) {
            let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, _) = rest.split_at(len);
            return (
                len,
                self.keywords.split_whitespace().any(|keyword| keyword == word).then_some("key"),
            );
        }
        (first.len_utf8(), None)
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A string's length with its quotes, in bytes. A string without a closing quote ends with its
/// line, so that an apostrophe does not colour the rest of the code.
fn string_len(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\n' if quote != '`' => return at,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn escape(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '&' => html.push_str("&amp;"),
            '"' => html.push_str("&quot;"),
            c => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_strings_and_comments_have_their_classes() {
        let html = highlighted("let a = \"if \\\" <b>\"; // let it be\nletter", "rust").unwrap();
        let expected = "<span class=\"key\">let</span> a = \
                        <span class=\"text\">&quot;if \\&quot; &lt;b&gt;&quot;</span>; \
                        <span class=\"remark\">// let it be</span>\nletter";
        assert_eq!(html, expected);
        assert_eq!(
            highlighted("# don't\nx", "Python").unwrap(),
            "<span class=\"remark\"># don't</span>\nx"
        );
        assert_eq!(
            highlighted("'a\nif", "sh").unwrap(),
            "<span class=\"text\">'a</span>\n<span class=\"key\">if</span>"
        );
        assert_eq!(highlighted("let a = 1", "klingon"), None);
        assert_eq!(highlighted("let a = 1", ""), None);
    }

    #[test]
    fn highlighting_keeps_the_text_of_code() {
        for code in [
            "/* never ends",
            "\"",
            "'",
            "`\n`",
            "é'ü\"\\",
            "/*",
            "//",
            "--",
            "#",
            "<script>alert(1)</script>",
            "a&b",
        ] {
            for language in ["rust", "js", "sh", "sql"] {
                let html = highlighted(code, language).unwrap();
                let plain = ["key", "text", "remark"].iter().fold(html, |html, class| {
                    html.replace(&format!("<span class=\"{class}\">"), "")
                });
                let plain = plain
                    .replace("</span>", "")
                    .replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&quot;", "\"");
                assert_eq!(plain.replace("&amp;", "&"), code, "{language}");
            }
        }
    }
}
