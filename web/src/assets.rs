//! Styles and fonts, compiled in and served under names that hold a hash of their content, so that
//! they may be kept forever.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use flate2::Compression;

use crate::answer::Problem;
use crate::doors::PAINTS;
use crate::pages::Page;
use crate::routes::{Access, Routes};
use crate::{pictures, theme};

pub(crate) const HOUSE: &str = include_str!("../../themes/house.css");
pub(crate) const LETTER: &str = include_str!("../../themes/letter.css");
const FONTS: [(&str, &[u8]); 3] = [
    ("vollkorn.woff2", include_bytes!("../../themes/fonts/vollkorn.woff2")),
    ("vollkorn-italic.woff2", include_bytes!("../../themes/fonts/vollkorn-italic.woff2")),
    ("hanken-grotesk.woff2", include_bytes!("../../themes/fonts/hanken-grotesk.woff2")),
];

struct Assets {
    pages: HashMap<String, Arc<Page>>,
    /// From the plain name to the address with the hash.
    addresses: HashMap<&'static str, String>,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let mut assets = Assets { pages: HashMap::new(), addresses: HashMap::new() };
    for (name, bytes) in FONTS {
        assets.add(name, "font/woff2", Bytes::from_static(bytes), "cross-origin");
    }
    let (mut house, mut letter) = (house(), theme::properties() + &minified(LETTER));
    for sheet in [&mut house, &mut letter] {
        for (name, _) in FONTS {
            *sheet =
                sheet.replace(&format!("url({name})"), &format!("url({})", assets.address(name)));
        }
    }
    assets.add("paper.css", "text/css; charset=utf-8", house.into(), "same-origin");
    // A letter's frame is an origin of its own, so its style sheet and typeface are foreign to it.
    assets.add("letter.css", "text/css; charset=utf-8", letter.into(), "cross-origin");
    assets
});

/// The structure, the theme, and the classes that are tables: a share for every shape of picture, a
/// colour for every door.
fn house() -> String {
    let mut css = minified(HOUSE) + &theme::properties();
    for tenths in pictures::RATIOS {
        css.push_str(&format!(".r{tenths}{{--r:{}.{}}}", tenths / 10, tenths % 10));
    }
    for (number, (_, colour)) in PAINTS.iter().enumerate() {
        css.push_str(&format!(".p{number}{{background:{colour}}}"));
    }
    css
}

impl Assets {
    fn add(
        &mut self,
        name: &'static str,
        media_type: &'static str,
        body: Bytes,
        shared_with: &'static str,
    ) {
        let hash = blake3::hash(&body).to_hex();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "bin"));
        let hashed = format!("{stem}.{}.{extension}", hash.get(..10).unwrap_or_default());
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static(shared_with),
        );
        if media_type.starts_with("font/") {
            // Browsers ask for typefaces as for what only scripts may read.
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        crate::headers::add_security_headers(&mut headers, false);
        self.addresses.insert(name, format!("/assets/{hashed}"));
        self.pages.insert(hashed, Arc::new(Page::new(headers, body, Compression::best())));
    }

    fn address(&self, name: &str) -> &str {
        self.addresses.get(name).map_or("", String::as_str)
    }
}

pub(crate) fn routes() -> Routes {
    Routes::new().get("/assets/{name}", Access::Anyone, serve)
}

async fn serve(Path(name): Path<String>, asked: HeaderMap) -> Result<Response, Problem> {
    find(&name).map(|page| page.answer(&asked)).ok_or(Problem::NotFound)
}

/// The asset with this hashed name.
pub(crate) fn find(name: &str) -> Option<Arc<Page>> {
    ASSETS.pages.get(name).cloned()
}

/// Where the asset of this plain name is served.
pub(crate) fn address(name: &str) -> &'static str {
    ASSETS.address(name)
}

/// A style sheet without comments and without the white space that only people need. Our sheets
/// keep spaces out of strings, so no string has to be told apart.
fn minified(css: &str) -> String {
    let mut plain = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, comment)) = rest.split_once("/*") {
        plain.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    let mut small = String::with_capacity(plain.len());
    let mut space = false;
    for c in plain.chars() {
        if c.is_whitespace() {
            space = true;
            continue;
        }
        let tight = |c: char| matches!(c, '{' | '}' | ';' | ',' | '>');
        if space
            && !small.is_empty()
            && !tight(c)
            && !small.ends_with(|last| tight(last) || last == ':')
        {
            small.push(' ');
        }
        if c == '}' && small.ends_with(';') {
            small.pop();
        }
        small.push(c);
        space = false;
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minifying_keeps_what_means_something() {
        let css = "/* who */ a :hover, b > c { margin: calc(1rem + 2px) auto; color: red; }\n@media (width > 2rem) { a { b: c } }";
        assert_eq!(
            minified(css),
            "a :hover,b>c{margin:calc(1rem + 2px) auto;color:red}@media (width>2rem){a{b:c}}"
        );
    }

    #[test]
    fn structure_and_theme_together_stay_under_twenty_kibibytes() {
        let len = house().len();
        assert!(len < 20 * 1024, "{len}");
    }

    #[test]
    fn every_font_the_styles_name_is_there() {
        let css = &ASSETS.pages.get(address("paper.css").trim_start_matches("/assets/")).unwrap();
        assert_eq!(css.answer(&HeaderMap::new()).status(), 200);
        assert_eq!(HOUSE.matches(".woff2)").count(), FONTS.len());
    }
}
