//! A theme: named colours and measures from `theme.toml`, turned into the CSS custom properties
//! that the shared structure uses.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;

const PAPER: &str = include_str!("../../themes/paper/theme.toml");

/// The colours every theme defines; the style sheets use no others.
#[cfg(test)]
const COLOURS: [&str; 12] = [
    "brass", "brick", "door", "edge", "ground", "ink", "ink-2", "line", "mark", "on-door", "sheet",
    "sunk",
];

/// The content of `theme.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "name, author and licence are read by people, not by the program")
)]
struct Theme {
    name: String,
    author: String,
    licence: String,
    /// Each in the light and the dark scheme.
    colours: BTreeMap<String, [String; 2]>,
    measures: BTreeMap<String, String>,
}

/// The custom properties of the theme, as a rule for `:root`.
pub(crate) fn properties() -> String {
    // The file is compiled in, and a test parses it.
    toml::from_str::<Theme>(PAPER).map(|theme| theme.properties()).unwrap_or_default()
}

impl Theme {
    fn properties(&self) -> String {
        let mut css = String::from(":root{");
        for (name, [light, dark]) in &self.colours {
            let _ = write!(css, "--{name}:light-dark({light},{dark});");
        }
        for (name, value) in &self.measures {
            let _ = write!(css, "--{name}:{value};");
        }
        css.push('}');
        css
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper() -> Theme {
        toml::from_str(PAPER).unwrap()
    }

    /// Relative luminance (WCAG 2.2).
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn theme_defines_every_colour_author_and_licence() {
        let theme = paper();
        assert!(theme.colours.keys().eq(COLOURS), "{:?}", theme.colours.keys());
        assert!(!theme.name.is_empty() && !theme.author.is_empty() && !theme.licence.is_empty());
        let properties = properties();
        assert!(
            properties.contains("--ink-2:light-dark(#565b53,#a8aca1);")
                && properties.contains("--page:70rem;"),
            "{properties}"
        );
    }

    #[test]
    fn style_sheets_use_only_defined_properties() {
        let theme = paper();
        for css in [crate::assets::STRUCTURE, crate::assets::MESSAGE] {
            for used in css.split("var(--").skip(1) {
                let name = used.split([')', ',']).next().unwrap();
                let is_known = theme.colours.contains_key(name)
                    || theme.measures.contains_key(name)
                    || crate::assets::STRUCTURE.contains(&format!("--{name}:"))
                    || name == "r";
                assert!(is_known, "--{name}");
            }
        }
    }

    #[test]
    fn text_contrast_meets_wcag_in_both_schemes() {
        let theme = paper();
        for scheme in [0, 1] {
            let colour = |name: &str| theme.colours[name][scheme].as_str();
            for ground in ["ground", "sheet", "sunk"] {
                for text in ["ink", "ink-2", "door", "brass", "brick"] {
                    assert!(
                        contrast(colour(text), colour(ground)) >= 4.5,
                        "{text} on {ground}, scheme {scheme}"
                    );
                }
                assert!(
                    contrast(colour("edge"), colour(ground)) >= 3.0,
                    "edge on {ground}, scheme {scheme}"
                );
            }
            assert!(contrast(colour("on-door"), colour("door")) >= 4.5, "on-door, scheme {scheme}");
            assert!(contrast(colour("ink"), colour("mark")) >= 4.5, "ink on mark, scheme {scheme}");
        }
        for (name, colour) in crate::avatar::AVATAR_COLOURS {
            assert!(contrast("#ffffff", colour) >= 4.5, "white on {name}");
        }
    }
}
