//! Plain text taken from Markdown, for summaries and slugs. Rendering Markdown as HTML is the web
//! crate's.

mod characters;
mod elements;
mod html;

pub use characters::{is_permitted, permitted};
pub use elements::{is_unknown_tag, unknown_tags_escaped};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// The Markdown that posts and profiles are written in: CommonMark with these extensions. Summaries
/// here and pages in the web crate are parsed with the same options, so that both see one
/// structure.
pub const MARKDOWN_OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_SMART_PUNCTUATION)
    .union(Options::ENABLE_TASKLISTS);

const WORDS_PER_MINUTE: usize = 220;
/// Events of an HTML block are collected for a summary until there are this many bytes.
const HTML_LEN_MAX: usize = 4096;

/// The beginning of a Markdown text as plain text: at most `chars` characters on one line, ending
/// at the end of a sentence or of a word. Headings, code blocks, footnotes and tables are left out.
pub fn summary(text: &str, chars: usize) -> String {
    let mut plain = String::new();
    let mut hidden = 0usize;
    let mut html_block = String::new();
    // The element whose content is not text of the page.
    let mut inside: Option<&str> = None;
    // Whitespace is still to be removed and characters have up to four bytes.
    let len_max = chars.saturating_mul(8);
    for event in Parser::new_ext(text, MARKDOWN_OPTIONS) {
        match event {
            Event::Start(
                Tag::Heading { .. }
                | Tag::CodeBlock(_)
                | Tag::FootnoteDefinition(_)
                | Tag::Table(_),
            ) => hidden += 1,
            Event::End(
                TagEnd::Heading(_) | TagEnd::CodeBlock | TagEnd::FootnoteDefinition | TagEnd::Table,
            ) => {
                hidden = hidden.saturating_sub(1);
            }
            Event::InlineHtml(tag)
                if inside.is_some_and(|element| html::is_end_of(element, &tag)) =>
            {
                inside = None;
            }
            Event::Text(_) | Event::Code(_) | Event::InlineHtml(_) if inside.is_some() => {}
            Event::Text(text) | Event::Code(text) if hidden == 0 => plain.push_str(&text),
            Event::InlineHtml(tag) if hidden == 0 => {
                inside = html::hidden_element(&tag);
                let is_text = tag.strip_prefix('<').is_some_and(is_unknown_tag);
                plain.push_str(if is_text { &tag } else { "" });
            }
            Event::Html(html) if hidden == 0 && html_block.len() < HTML_LEN_MAX => {
                html_block.push_str(&html)
            }
            Event::End(TagEnd::HtmlBlock) => {
                plain.push_str(&html::plain_text(&std::mem::take(&mut html_block), len_max));
                plain.push(' ');
            }
            // The end of inline markup does not separate words: "*not this*, but".
            Event::End(
                TagEnd::Emphasis
                | TagEnd::Strong
                | TagEnd::Strikethrough
                | TagEnd::Link
                | TagEnd::Image,
            ) => {}
            Event::SoftBreak | Event::HardBreak | Event::End(_) => plain.push(' '),
            _ => {}
        }
        if plain.len() > len_max {
            break;
        }
    }
    shortened(&plain.split_whitespace().collect::<Vec<_>>().join(" "), chars)
}

/// `line` cut to `chars` characters at the end of a word, with an ellipsis if something was cut.
fn shortened(line: &str, chars: usize) -> String {
    let Some((end, _)) = line.char_indices().nth(chars) else { return line.to_owned() };
    let len_max = line.char_indices().nth(chars.saturating_sub(1)).map_or(end, |(at, _)| at);
    let (head, rest) = line.split_at(len_max);
    if let Some(sentences) = whole_sentences(head, chars) {
        return sentences.to_owned();
    }
    let ends_a_word = rest.starts_with(' ');
    let head = head.rsplit_once(' ').filter(|_| !ends_a_word).map_or(head, |(words, _)| words);
    format!("{}…", head.trim_end_matches([',', '.', ';', ':', ' ', '-', '–', '—']))
}

/// The sentences that end in the second half of `chars` characters, if any does.
fn whole_sentences(head: &str, chars: usize) -> Option<&str> {
    let is_end = |c: char| matches!(c, '.' | '!' | '?' | '。' | '！' | '？');
    let (end, _) = head.char_indices().rev().find(|(at, c)| {
        let after = head.get(at + c.len_utf8()..).unwrap_or_default();
        is_end(*c) && (after.starts_with(' ') || !c.is_ascii())
    })?;
    let sentences = head.get(..end + head.get(end..)?.chars().next()?.len_utf8())?;
    (sentences.chars().count() * 2 >= chars).then_some(sentences)
}

/// Minutes needed to read a text, at 220 words a minute; at least one.
pub fn reading_minutes(text: &str) -> u32 {
    let words =
        text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
    u32::try_from(words.div_ceil(WORDS_PER_MINUTE)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_is_plain_text_cut_at_a_word() {
        let text = "# Title\n\nThe *bread* rose, slowly.\n\n```\ncode\n```\n\n> And \
            [then](https://x.example) it fell.";
        assert_eq!(summary(text, 100), "The bread rose, slowly. And then it fell.");
        assert_eq!(summary(text, 16), "The bread rose…");
        assert_eq!(summary("<script>alert(1)</script>", 50), "");
        assert_eq!(summary("It rose. It fell at 3.5 degrees", 13), "It rose.");
        assert_eq!(summary("It rose. It fell at 3.5 degrees", 28), "It rose. It fell at 3.5…");
        assert_eq!(summary("潮が満ちた。潮が引いた", 9), "潮が満ちた。");
        assert_eq!(summary("", 10), "");
        assert_eq!(
            summary("<div>\nA <i>slow</i> rise &amp; fall.\n</div>\n\nThen <b>bread</b>.", 50),
            "A slow rise & fall. Then bread."
        );
        assert_eq!(summary("<style>\np { color: red }\n</style>\n\nBread.", 50), "Bread.");
        assert_eq!(
            summary("It <script>var a = 1 < 2</script>rose <STYLE >.b{}</style> <svg/>slowly.", 50),
            "It rose slowly."
        );
        assert_eq!(
            summary("It <script-x>rose</script-x> <b>slowly</b>.", 50),
            "It <script-x>rose</script-x> slowly."
        );
        assert_eq!(
            summary("A Vec<String> for x<y but y>z, <i>not</i> HTML", 60),
            "A Vec<String> for x<y but y>z, not HTML"
        );
        assert_eq!(summary("Ünïcödé wörds hére", 8), "Ünïcödé…");
    }

    #[test]
    fn summary_keeps_commas_after_inline_markup() {
        assert_eq!(
            summary("The tin said *not this*, which is **how** [he](https://a.example) knew.", 80),
            "The tin said not this, which is how he knew."
        );
    }

    #[test]
    fn reading_minute_is_two_hundred_and_twenty_words() {
        assert_eq!(
            [
                reading_minutes(""),
                reading_minutes(&"word ".repeat(220)),
                reading_minutes(&"word ".repeat(221))
            ],
            [1, 1, 2]
        );
    }
}
