//! Links in the fields of mailing lists (RFC 2369 2): a list of URLs in angle brackets, and those
//! that lead to a message to be written (RFC 6068).

use freehold_mime::media::percent_decoded;
use freehold_mime::text;

/// Most links of a field that are read.
const LINKS_MAX: usize = 8;
/// The longest link, in bytes.
const LINK_LEN_MAX: usize = 2048;
/// The longest text of a link's message, in bytes.
const TEXT_LEN_MAX: usize = 1024;

/// The URLs of an unfolded field, in the order of the sender's preference.
pub(super) fn links(value: &[u8]) -> Vec<String> {
    let value = String::from_utf8_lossy(value);
    let mut links = Vec::new();
    for part in value.split('<').skip(1) {
        let Some((link, _)) = part.split_once('>') else { continue };
        // White space inside the brackets is dropped (RFC 2369 2).
        let link: String = link.chars().filter(|c| !c.is_whitespace()).collect();
        if (1..=LINK_LEN_MAX).contains(&link.len()) && links.len() < LINKS_MAX {
            links.push(link);
        }
    }
    links
}

/// The message to which a link leads. Only its first recipient, its subject and its text are read:
/// no stranger adds further recipients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mailto {
    pub(super) to: String,
    pub(super) subject: String,
    pub(super) text: String,
}

impl Mailto {
    /// The message of a URL; `None` if it is no `mailto:` with a recipient.
    pub(super) fn parse(link: &str) -> Option<Self> {
        let (scheme, rest) = link.split_once(':')?;
        if !scheme.eq_ignore_ascii_case("mailto") {
            return None;
        }
        let (to, fields) = rest.split_once('?').unwrap_or((rest, ""));
        let decoded =
            |value: &str| String::from_utf8_lossy(&percent_decoded(value.as_bytes())).into_owned();
        let to = text::one_line(&decoded(to.split(',').next().unwrap_or_default()), TEXT_LEN_MAX);
        let mut mailto = Self { to, ..Self::default() };
        for field in fields.split('&') {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            match name.to_ascii_lowercase().as_str() {
                "subject" => mailto.subject = text::one_line(&decoded(value), TEXT_LEN_MAX),
                "body" => {
                    let whole = decoded(value);
                    let len = whole.floor_char_boundary(TEXT_LEN_MAX);
                    mailto.text = whole.get(..len).unwrap_or_default().to_owned();
                }
                _ => {}
            }
        }
        (!mailto.to.is_empty()).then_some(mailto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_list_field_are_read_in_order() {
        let value =
            b"(posts) <mailto:list@x.example?subject=help>,\t<https://x.ex\tample/a>, NO <>";
        assert_eq!(links(value), ["mailto:list@x.example?subject=help", "https://x.example/a"]);
        assert!(links(b"NO").is_empty() && links(b"<a").is_empty());
        assert_eq!(links("<a>".repeat(99).as_bytes()).len(), LINKS_MAX);
        assert!(links(format!("<{}>", "a".repeat(9999)).as_bytes()).is_empty());
    }

    #[test]
    fn mailto_has_one_recipient_and_no_other_fields() {
        let link = "MAILTO:a%40x.example,b@y.example?Subject=x%0D%0ABcc:%20c@z&cc=d@w&body=1%0A2";
        let mailto = Mailto::parse(link).unwrap();
        assert_eq!(mailto.to, "a@x.example");
        assert_eq!(mailto.subject, "x Bcc: c@z");
        assert_eq!(mailto.text, "1\n2");
        for link in ["mailto:", "https://x.example", "mailto", "mailto:%20?subject=x"] {
            assert_eq!(Mailto::parse(link), None, "{link}");
        }
    }
}
