//! The part of CSS that changes the meaning of a text, because it hides elements or strikes them
//! through: a few properties, in `style` attributes and in rules whose selector is a class, an id
//! or an element's name. Senders hide the words that lists show, and the second of two versions of
//! a newsletter, with both.
//!
//! Other selectors and rules for other media are left out: a wrong guess would hide words.

use std::collections::HashMap;

use super::tokens::Start;

/// Most of a message's style sheets that is read, in bytes; a long newsletter has 60 KiB.
pub(super) const SHEET_LEN_MAX: usize = 256 * 1024;
/// Most selectors that are kept.
const SELECTORS_MAX: usize = 2_000;
/// Longest selector that is kept, in bytes.
const SELECTOR_LEN_MAX: usize = 100;
/// Most classes of an element that are looked up.
const CLASSES_MAX: usize = 16;
/// The weight of a `style` attribute: above every selector (CSS Cascading 4, 6.1).
const INLINE: u16 = 1_000;

/// The properties that can hide an element, or strike its text through.
#[derive(Clone, Copy)]
enum Property {
    Display,
    Visibility,
    Opacity,
    Height,
    Width,
    Overflow,
    FontSize,
    TextDecoration,
}

/// A declaration: whether its value hides or strikes, and what it wins against: importance, then
/// weight of its selector, then order.
type Declared = Option<(bool, (bool, u16, usize))>;

/// The declarations of one rule or of one element, by property.
#[derive(Clone, Copy, Default)]
pub(super) struct Declarations([Declared; 8]);

impl Declarations {
    fn read(&mut self, text: &str, weight: u16, order: usize) {
        for declaration in text.split(';') {
            let Some((name, value)) = declaration.split_once(':') else { continue };
            let value = value.trim().to_ascii_lowercase();
            let (value, is_important) = match value.strip_suffix("important") {
                Some(before) => (before.trim_end().trim_end_matches('!').trim_end(), true),
                None => (value.as_str(), false),
            };
            let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
            let is_zero = number.parse::<f32>().is_ok_and(|number| number == 0.0);
            let (property, hides) = match name.trim().to_ascii_lowercase().as_str() {
                "display" => (Property::Display, value == "none"),
                "visibility" => (Property::Visibility, matches!(value, "hidden" | "collapse")),
                "opacity" => (Property::Opacity, is_zero),
                "max-height" | "height" => (Property::Height, is_zero),
                "max-width" | "width" => (Property::Width, is_zero),
                "overflow" | "overflow-x" | "overflow-y" => (Property::Overflow, value == "hidden"),
                "font-size" => (Property::FontSize, is_zero),
                "text-decoration" | "text-decoration-line" => (
                    Property::TextDecoration,
                    value.split_ascii_whitespace().any(|line| line == "line-through"),
                ),
                _ => continue,
            };
            self.take(property as usize, Some((hides, (is_important, weight, order))));
        }
    }

    /// Takes a declaration, unless the one that is there wins.
    fn take(&mut self, property: usize, new: Declared) {
        if let Some(old) = self.0.get_mut(property)
            && new.is_some_and(|(_, new)| old.is_none_or(|(_, old)| new >= old))
        {
            *old = new;
        }
    }

    fn add(&mut self, others: &Self) {
        for (property, declared) in others.0.iter().enumerate() {
            self.take(property, *declared);
        }
    }

    /// True if an element is hidden. Tables without gaps have cells of font size zero whose content
    /// sets a size of its own, so that size hides words in a line only.
    pub(super) fn hide(&self, is_inline: bool) -> bool {
        let hides = |property: Property| self.has(property);
        hides(Property::Display)
            || hides(Property::Visibility)
            || hides(Property::Opacity)
            || (hides(Property::Height) || hides(Property::Width)) && hides(Property::Overflow)
            || is_inline && hides(Property::FontSize)
    }

    /// True if the text of an element is struck through.
    pub(super) fn strike(&self) -> bool {
        self.has(Property::TextDecoration)
    }

    fn has(&self, property: Property) -> bool {
        self.0.get(property as usize).copied().flatten().is_some_and(|(has_effect, _)| has_effect)
    }
}

/// The rules of a message's style sheets that have an effect here, by selector.
#[derive(Default)]
pub(super) struct Sheet {
    rules: HashMap<String, Declarations>,
    order: usize,
}

impl Sheet {
    /// Adds the rules of a `<style>` element.
    pub(super) fn read(&mut self, css: &str) {
        let css = without_comments(css);
        let mut rest = css.as_str();
        while let Some((prelude, after)) = rest.split_once('{') {
            // The selector begins behind a `;` or a `}`.
            let prelude = prelude.rsplit([';', '}']).next().unwrap_or_default().trim();
            if let Some(at_rule) = prelude.strip_prefix('@') {
                let media = at_rule.trim_start().to_ascii_lowercase();
                let applies = media.strip_prefix("media").is_some_and(applies_to_screens);
                rest = if applies { after } else { behind_block(after) };
                continue;
            }
            let (block, after) = after.split_once('}').unwrap_or((after, ""));
            self.rule(prelude, block);
            rest = after;
        }
    }

    fn rule(&mut self, selectors: &str, block: &str) {
        self.order = self.order.saturating_add(1);
        let mut read = Declarations::default();
        read.read(block, 0, self.order);
        if read.0.iter().all(Option::is_none) {
            return;
        }
        for selector in selectors.split(',') {
            let Some((key, weight)) = key(selector.trim()) else { continue };
            if self.rules.len() >= SELECTORS_MAX && !self.rules.contains_key(&key) {
                continue;
            }
            let mut weighed = read;
            for (_, (_, own, _)) in weighed.0.iter_mut().flatten() {
                *own = weight;
            }
            self.rules.entry(key).or_default().add(&weighed);
        }
    }

    /// The declarations for the element of a start tag.
    pub(super) fn declarations(&self, start: &Start<'_>) -> Declarations {
        let attribute = |wanted: &str| start.attribute(wanted);
        let mut all = Declarations::default();
        if attribute("hidden").is_some() {
            // An author's rule wins against the browser's own for this attribute.
            all.take(Property::Display as usize, Some((true, (false, 0, 0))));
        }
        if !self.rules.is_empty() {
            let name = start.name.to_ascii_lowercase();
            let mut add = |key: &str| {
                if let Some(found) = self.rules.get(key) {
                    all.add(found);
                }
            };
            add(&name);
            let classes = attribute("class").unwrap_or_default();
            let classes = classes.split_ascii_whitespace().take(CLASSES_MAX).map(|c| ('.', c));
            for (mark, value) in classes.chain(attribute("id").map(|id| ('#', id.trim()))) {
                if value.len() <= SELECTOR_LEN_MAX {
                    let alone = format!("{mark}{}", value.to_ascii_lowercase());
                    add(&alone);
                    add(&format!("{name}{alone}"));
                }
            }
        }
        if let Some(style) = attribute("style") {
            all.read(&without_comments(style), INLINE, 0);
        }
        all
    }
}

/// True for a list of media, without conditions, that a screen is in.
pub(super) fn applies_to_screens(media: &str) -> bool {
    media.split(',').any(|medium| {
        let medium = medium.trim().to_ascii_lowercase();
        matches!(medium.as_str(), "" | "all" | "screen" | "only screen" | "only all")
    })
}

/// The key and the weight of a selector (Selectors 4, 17) that is an element's name, a class or an
/// id, or a name with one of these; `None` for all others.
fn key(selector: &str) -> Option<(String, u16)> {
    if selector.is_empty() || selector.len() > SELECTOR_LEN_MAX {
        return None;
    }
    let (name, mark, value) = match selector.find(['.', '#']) {
        Some(at) => {
            let (name, marked) = selector.split_at(at);
            (name, marked.get(..1)?, marked.get(1..)?)
        }
        None => (selector, "", ""),
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c) || !c.is_ascii();
    let name = name.strip_prefix('*').unwrap_or(name);
    if !name.chars().chain(value.chars()).all(is_name) || value.is_empty() != mark.is_empty() {
        return None;
    }
    let weight = match mark {
        "." => 10,
        "#" => 100,
        _ => 0,
    };
    let key = format!("{name}{mark}{value}").to_ascii_lowercase();
    (!key.is_empty()).then_some((key, weight + u16::from(!name.is_empty())))
}

fn without_comments(css: &str) -> String {
    let mut plain = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, comment)) = rest.split_once("/*") {
        plain.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    // A style sheet may be in an HTML comment, for browsers of the nineties.
    if plain.contains("<!--") { plain.replace("<!--", "").replace("-->", "") } else { plain }
}

/// The text behind the block of which `text` is the content; blocks may be inside.
fn behind_block(text: &str) -> &str {
    let mut depth = 1usize;
    for (at, brace) in text.match_indices(['{', '}']) {
        depth = if brace == "{" { depth.saturating_add(1) } else { depth.saturating_sub(1) };
        if depth == 0 {
            return text.get(at.saturating_add(1)..).unwrap_or_default();
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::super::tokens::{Token, Tokens};
    use super::*;

    fn is_hidden(css: &str, tag: &str) -> bool {
        let mut sheet = Sheet::default();
        sheet.read(css);
        let Some(Token::Start(start)) = Tokens::of(tag).next() else { panic!("{tag}") };
        sheet.declarations(&start).hide(start.name == "span")
    }

    #[test]
    fn simple_selectors_hide_elements() {
        for (css, tag) in [
            (".pre{display:none}", "<div class='a PRE b'>"),
            ("div.pre , x { color:red; display : none !important }", "<div class=pre>"),
            ("#top{visibility:hidden}", "<td id=top>"),
            ("span{font-size:0px}", "<span>"),
            ("*.a{opacity:0.0}", "<p class=a>"),
            (".a{max-height:0;overflow:hidden}", "<div class=a>"),
            (".a{max-width:0px}.a{overflow:hidden}", "<div class=a>"),
            ("/*.a{*/.a{/*}*/display:/**/none}", "<p class=a>"),
            ("<!-- .a{display:none} -->", "<p class=a>"),
            ("@import url(x);.a{display:none}", "<p class=a>"),
            ("@media screen{b{color:red} .a{display:none}}", "<p class=a>"),
            ("@media print{.a{x:y}} .a{display:none}", "<p class=a>"),
            (".a{display:none", "<p class=a>"),
            (".a{display:none!important}", "<p class=a style='display:block'>"),
            (".a{display:block}.a{display:none}", "<p class=a>"),
            ("p{display:block}.a{display:none}", "<p class=a>"),
            ("", "<p style='DISPLAY: None !Important'>"),
            ("", "<p hidden>"),
            ("", "<div style='opacity:0'>"),
        ] {
            assert!(is_hidden(css, tag), "{css} {tag}");
        }
    }

    #[test]
    fn shown_elements_are_not_hidden() {
        for (css, tag) in [
            (".a{display:none}", "<p class=ab>"),
            (".a{display:none}", "<p class=a style='display:block'>"),
            (".a{display:none}.a{display:block}", "<p class=a>"),
            ("#i{display:block}.a{display:none}", "<p class=a id=i>"),
            ("@media print{.a{display:none}}", "<p class=a>"),
            ("@media (max-width:600px){b{c:d}.a{display:none}}", "<p class=a>"),
            ("u + .a{display:none}", "<p class=a>"),
            (".b .a{display:none}", "<p class=a>"),
            (".a:hover{display:none}", "<p class=a>"),
            ("p[class=a]{display:none}", "<p class=a>"),
            ("*{display:none}", "<p class=a>"),
            (".a{font-size:0}", "<td class=a>"),
            ("", "<td style='font-size:0;line-height:0'>"),
            ("", "<a style='mso-hide:all'>"),
            ("", "<td style='height:0'>"),
            ("", "<p style='opacity:0.5'>"),
            (".{display:none}#{display:none}{display:none}", "<p class='' id=''>"),
        ] {
            assert!(!is_hidden(css, tag), "{css} {tag}");
        }
    }

    #[test]
    fn hostile_style_sheet_takes_linear_time() {
        for unit in ["{", "}", "/*", "@media{", "@media screen{", ".a{", ".a,", ";", "a{display:"] {
            Sheet::default().read(&unit.repeat(2_000_000 / unit.len()));
        }
        let mut sheet = Sheet::default();
        let many: String = (0..100_000).map(|n| format!(".a{n}{{display:none}}")).collect();
        sheet.read(&many);
        assert_eq!(sheet.rules.len(), SELECTORS_MAX);
    }
}
