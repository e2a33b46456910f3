//! A theme: colours and measures by name, from `theme.toml`, as the custom properties that the one
//! structure of styles uses.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Deserialize;

const PAPER: &str = include_str!("../../themes/paper/theme.toml");

/// The names every theme gives a colour to; the style sheets use no other.
#[cfg(test)]
const COLOURS: [&str; 12] = [
    "brass", "brick", "door", "edge", "ground", "ink", "ink-2", "line", "mark", "on-door", "sheet",
    "sunk",
];

/// What a theme's file says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(test), expect(dead_code, reason = "who made a theme is for whoever opens its file"))]
struct Theme {
    name: String,
    author: String,
    licence: String,
    /// In light and in dark.
    colours: BTreeMap<String, [String; 2]>,
    measures: BTreeMap<String, String>,
}

/// The custom properties of the theme, as a rule for the root.
pub(crate) fn properties() -> String {
    // The file is compiled in, and a test reads it.
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
    fn the_theme_names_every_colour_and_says_whose_it_is() {
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
    fn the_styles_use_no_property_that_nobody_sets() {
        let theme = paper();
        for css in [crate::assets::HOUSE, crate::assets::LETTER] {
            for used in css.split("var(--").skip(1) {
                let name = used.split([')', ',']).next().unwrap();
                let is_known = theme.colours.contains_key(name)
                    || theme.measures.contains_key(name)
                    || crate::assets::HOUSE.contains(&format!("--{name}:"))
                    || name == "r";
                assert!(is_known, "--{name}");
            }
        }
    }

    #[test]
    fn what_must_be_read_can_be_read_in_light_and_in_dark() {
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
        for (name, paint) in crate::avatar::AVATAR_COLOURS {
            assert!(contrast("#ffffff", paint) >= 4.5, "white on {name}");
        }
    }
}
