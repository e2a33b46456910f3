//! Styles, fonts and scripts, compiled in. Their names hold a hash of their content, so caches may
//! keep them forever.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use data_encoding::BASE64;
use flate2::Compression;
use sha2::{Digest, Sha256};

use crate::avatar::AVATAR_COLOURS;
use crate::page_cache::CachedPage;
use crate::problem::Problem;
use crate::routes::{Access, Routes};
use crate::{pictures, theme};

/// The structure that all themes share.
pub(crate) const STRUCTURE: &str = include_str!("../../themes/structure.css");
/// The styles inside the frame of a message.
pub(crate) const MESSAGE: &str = include_str!("../../themes/message.css");
/// A script that improves a page, which works without it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Script {
    /// Saves a long text while it is written.
    Editor,
    /// Makes the frames of a message as high as their content.
    Message,
    /// Keys and a choice of several messages in the mailbox.
    Mailbox,
}

impl Script {
    const ALL: [Self; 3] = [Self::Editor, Self::Message, Self::Mailbox];

    fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Editor => ("editor.js", include_str!("../../themes/scripts/editor.js")),
            Self::Message => ("message.js", include_str!("../../themes/scripts/message.js")),
            Self::Mailbox => ("mailbox.js", include_str!("../../themes/scripts/mailbox.js")),
        }
    }

    /// The element that loads it.
    pub(crate) fn element(self) -> String {
        let (address, integrity) = (ASSETS.address(self.file().0), self.integrity());
        format!(r#"<script type="module" src="{address}" integrity="{integrity}"></script>"#)
    }

    /// Its hash, as a policy and an element name it (Subresource Integrity 3.1).
    pub(crate) fn integrity(self) -> String {
        format!("sha256-{}", BASE64.encode(&Sha256::digest(self.file().1)))
    }
}

const FONTS: [(&str, &[u8]); 3] = [
    ("vollkorn.woff2", include_bytes!("../../themes/fonts/vollkorn.woff2")),
    ("vollkorn-italic.woff2", include_bytes!("../../themes/fonts/vollkorn-italic.woff2")),
    ("hanken-grotesk.woff2", include_bytes!("../../themes/fonts/hanken-grotesk.woff2")),
];

struct Assets {
    /// By the name with the hash.
    pages: HashMap<String, Arc<CachedPage>>,
    /// From the plain name to the address with the hash.
    addresses: HashMap<&'static str, String>,
}

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let mut assets = Assets { pages: HashMap::new(), addresses: HashMap::new() };
    for (name, bytes) in FONTS {
        assets.add(name, "font/woff2", Bytes::from_static(bytes), "cross-origin");
    }
    let (mut site, mut message) = (site_styles(), theme::properties() + &minified(MESSAGE));
    for sheet in [&mut site, &mut message] {
        for (name, _) in FONTS {
            *sheet =
                sheet.replace(&format!("url({name})"), &format!("url({})", assets.address(name)));
        }
    }
    assets.add("paper.css", "text/css; charset=utf-8", site.into(), "same-origin");
    // Opened alone, the HTML of a message may have an opaque origin.
    assets.add("message.css", "text/css; charset=utf-8", message.into(), "cross-origin");
    for (name, source) in Script::ALL.map(Script::file) {
        let media_type = "text/javascript; charset=utf-8";
        assets.add(name, media_type, Bytes::from_static(source.as_bytes()), "same-origin");
    }
    assets
});

/// The structure, the theme, and the generated classes: `r<tenths>` for the aspect ratio of a
/// picture, `p<index>` for the colour of an avatar.
fn site_styles() -> String {
    let mut css = minified(STRUCTURE) + &theme::properties();
    for tenths in pictures::RATIOS {
        css.push_str(&format!(".r{tenths}{{--r:{}.{}}}", tenths / 10, tenths % 10));
    }
    for (number, (_, colour)) in AVATAR_COLOURS.iter().enumerate() {
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
        resource_policy: &'static str,
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
            HeaderValue::from_static(resource_policy),
        );
        if media_type.starts_with("font/") {
            // Browsers fetch fonts in CORS mode (CSS Fonts 4, 4.8.1).
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        crate::headers::add_security_headers(&mut headers, false);
        self.addresses.insert(name, format!("/assets/{hashed}"));
        self.pages.insert(hashed, Arc::new(CachedPage::new(headers, body, Compression::best())));
    }

    fn address(&self, name: &str) -> &str {
        self.addresses.get(name).map_or("", String::as_str)
    }
}

pub(crate) fn routes() -> Routes {
    Routes::new().get("/assets/{name}", Access::Anyone, serve)
}

async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    find(&name).map(|page| page.response(&headers)).ok_or(Problem::NotFound)
}

/// The asset whose name with the hash is `name`.
pub(crate) fn find(name: &str) -> Option<Arc<CachedPage>> {
    ASSETS.pages.get(name).cloned()
}

/// The address of the asset with the plain name `name`.
pub(crate) fn address(name: &str) -> &'static str {
    ASSETS.address(name)
}

/// A style sheet without comments and without needless white space. Our style sheets have no
/// repeated spaces in strings, so strings need no treatment of their own.
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
    fn minified_css_keeps_its_meaning() {
        let css = "/* a */ a :hover, b > c { margin: calc(1rem + 2px) auto; color: red; }\n\
                   @media (width > 2rem) { a { b: c } }";
        assert_eq!(
            minified(css),
            "a :hover,b>c{margin:calc(1rem + 2px) auto;color:red}@media (width>2rem){a{b:c}}"
        );
    }

    #[test]
    fn style_sheet_stays_under_twenty_kibibytes() {
        let len = site_styles().len();
        assert!(len < 20 * 1024, "{len}");
    }

    #[test]
    fn scripts_stay_under_twenty_kibibytes_together() {
        let len: usize = Script::ALL.iter().map(|script| script.file().1.len()).sum();
        assert!(len < 20 * 1024, "{len}");
    }

    #[test]
    fn every_named_font_is_compiled_in() {
        let css = &ASSETS.pages.get(address("paper.css").trim_start_matches("/assets/")).unwrap();
        assert_eq!(css.response(&HeaderMap::new()).status(), 200);
        assert_eq!(STRUCTURE.matches(".woff2)").count(), FONTS.len());
    }
}
