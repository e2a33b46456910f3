//! The tokens of a message: the words and traits by which the filter learns to tell junk from
//! wanted mail.
//!
//! They are taken from what a person sees (subject, names, the shown texts, link targets) and from
//! traits of the header. Work and result are bounded, however long the message is.

use std::collections::HashSet;

use freehold_mime::html::tokens::Token;
use freehold_mime::html::visible::Visible;
use freehold_mime::people::{self, Person};
use freehold_mime::search::{self, fold};
use freehold_mime::structure::HEADER_LEN_MAX;
use freehold_mime::{Content, Shown, Structure, content, header, html};

/// The most tokens of one message. Learning from a message writes a row for each.
pub(super) const TOKENS_MAX: usize = 400;
/// The most tokens of the header, so that a long one leaves room for the text.
const HEADER_TOKENS_MAX: usize = 150;
/// The most words of one header field.
const FIELD_WORDS_MAX: usize = 40;
/// How much encoded text of one part is read, in bytes.
const PART_LEN_MAX: usize = 64 * 1024;
/// How much decoded text is read in all, in bytes.
const TEXT_LEN_MAX: usize = 128 * 1024;
/// The most shown parts and files that are read.
const PARTS_MAX: usize = 20;
/// The most links whose targets are read.
const LINKS_MAX: usize = 60;
/// The lengths of words, in characters.
const WORD_LEN_MIN: usize = 3;
const WORD_LEN_MAX: usize = 20;
/// The most Received fields that are read: the latest.
const RECEIVED_MAX: usize = 6;
/// How much of a header value is read, in bytes.
const VALUE_LEN_MAX: usize = 1000;

/// Header fields whose presence or absence is a trait.
const TRAITS: [&str; 10] = [
    "date",
    "in-reply-to",
    "list-id",
    "list-unsubscribe",
    "message-id",
    "mime-version",
    "precedence",
    "references",
    "sender",
    "x-priority",
];

/// The tokens of a message, each once, at most [`TOKENS_MAX`]: first those of the header.
pub(in crate::mailbox) fn tokens(message: &[u8]) -> Vec<String> {
    let structure = Structure::parse(message);
    let mut tokens = Tokens { max: HEADER_TOKENS_MAX, ..Tokens::default() };
    tokens.header(structure.header(message, Structure::ROOT));
    tokens.max = TOKENS_MAX;
    let content = Content::of(message, &structure);
    for shown in content.shown.iter().take(PARTS_MAX) {
        match shown {
            Shown::Text(id) => {
                tokens.text(&content::text_of(message, &structure, *id, PART_LEN_MAX));
            }
            Shown::Html(id) => {
                tokens.html(&content::html_of(message, &structure, *id, PART_LEN_MAX));
            }
            Shown::Image(_) => tokens.add("part:image", ""),
            Shown::Message(_) => tokens.add("part:message", ""),
        }
    }
    for file in content.files.iter().take(PARTS_MAX) {
        let name = fold(&content::file_name(message, &structure, *file));
        let extension = name.rsplit_once('.').map_or("none", |(_, extension)| extension);
        tokens.add("file:", extension);
    }
    tokens.list
}

#[derive(Default)]
struct Tokens {
    list: Vec<String>,
    known: HashSet<String>,
    /// The most tokens of the list; fewer while the header is read.
    max: usize,
    /// Bytes of text that were read.
    text_len: usize,
    links: usize,
}

impl Tokens {
    fn add(&mut self, kind: &str, value: &str) {
        if self.list.len() >= self.max {
            return;
        }
        let value = value.get(..value.floor_char_boundary(80)).unwrap_or_default();
        let token = [kind, value].concat();
        if self.known.insert(token.clone()) {
            self.list.push(token);
        }
    }

    fn header(&mut self, header: &[u8]) {
        let header = header.get(..HEADER_LEN_MAX).unwrap_or(header);
        let value = |name: &str| {
            let value = header::first(header, name)?;
            Some(fold(&search::field(value.get(..VALUE_LEN_MAX).unwrap_or(value))))
        };
        let subject = value("subject").unwrap_or_default();
        self.words("subject:", &subject);
        if let Some(mailer) = value("x-mailer").or_else(|| value("user-agent")) {
            self.add("mailer:", mailer.split(['/', '[', '(']).next().unwrap_or_default().trim());
        }
        for kind in ["from", "reply-to"] {
            for Person { name, address } in people::first(header, kind, None).into_iter().take(3) {
                let (name, address) = (fold(&name), fold(&address));
                self.words(&format!("{kind}:"), &name);
                self.add(&format!("{kind}:"), &address);
                if let Some((_, domain)) = address.rsplit_once('@') {
                    self.add(&format!("{kind}:@"), domain);
                }
            }
        }
        let domain_of = |text: &str| {
            let (_, domain) = text.trim().trim_end_matches('>').rsplit_once('@')?;
            Some(domain.to_owned())
        };
        let author = people::first(header, "from", None).into_iter().next();
        let author = author.and_then(|person| domain_of(&fold(&person.address)));
        let id = value("message-id").and_then(|id| domain_of(&id));
        self.add(
            "id:",
            match (&author, &id) {
                (Some(author), Some(id)) if author == id => "same",
                (Some(author), Some(id)) if id.ends_with(author.as_str()) => "below",
                (_, Some(_)) => "other",
                (_, None) => "none",
            },
        );
        if let Some(subject) = header::first(header, "subject") {
            let subject = search::field(subject.get(..VALUE_LEN_MAX).unwrap_or(subject));
            let letters = subject.chars().filter(|c| c.is_alphabetic()).count();
            let capitals = subject.chars().filter(|c| c.is_uppercase()).count();
            if letters >= 8 && capitals * 10 >= letters * 8 {
                self.add("subject-is:", "capitals");
            }
            if subject.contains("  ") {
                self.add("subject-is:", "spaced");
            }
            for c in ['!', '?', '$', '%', '*'] {
                if subject.contains(c) {
                    self.add("subject-has:", &c.to_string());
                }
            }
        }
        let recipients = people::first(header, "to", None).len();
        self.add("to:", ["none", "one", "some"].get(recipients).copied().unwrap_or("many"));
        for name in TRAITS {
            let kind = if header::first(header, name).is_some() { "with:" } else { "without:" };
            self.add(kind, name);
        }
        for received in header::all(header, "received").take(RECEIVED_MAX) {
            let received = received.get(..VALUE_LEN_MAX).unwrap_or(received);
            self.hop(&String::from_utf8_lossy(&header::unfold(received)).to_lowercase());
        }
        if let Some(list) = value("list-id") {
            self.add("list:", &list);
        }
        if let Some(kind) = value("content-type") {
            self.add("type:", kind.split(';').next().unwrap_or_default().trim());
            if let Some((_, charset)) = kind.split_once("charset=") {
                let charset = charset.trim_matches('"').split(['"', ';', ' ']).next();
                self.add("charset:", charset.unwrap_or_default());
            }
        }
    }

    /// The host that handed a message on, and its network, by a Received field.
    fn hop(&mut self, received: &str) {
        let from = received.split(" by ").next().unwrap_or_default();
        for name in from.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-'))) {
            if name
                .parse::<std::net::Ipv4Addr>()
                .is_ok_and(|ip| !ip.is_private() && !ip.is_loopback())
            {
                for end in name.match_indices('.').skip(1).map(|(at, _)| at) {
                    self.add("ip:", name.get(..end).unwrap_or_default());
                }
            } else if let Some((at, _)) = name.rmatch_indices('.').nth(1) {
                self.add("via:", name.get(at.saturating_add(1)..).unwrap_or_default());
            } else if name.contains('.') {
                self.add("via:", name);
            }
        }
    }

    /// The words of a text, and the targets of its links.
    fn text(&mut self, text: &str) {
        let left = TEXT_LEN_MAX.saturating_sub(self.text_len);
        let text = text.get(..text.floor_char_boundary(left)).unwrap_or_default();
        self.text_len = self.text_len.saturating_add(text.len());
        let text = fold(text);
        for (at, _) in text.match_indices("://").take(LINKS_MAX) {
            self.link(text.get(at..).unwrap_or_default());
        }
        self.words("", &text);
    }

    fn html(&mut self, text: &str) {
        for token in Visible::of(text) {
            let Token::Start(start) = token else { continue };
            for name in ["href", "src"] {
                if let Some(target) = start.attribute(name)
                    && let Some(at) = target.find("://")
                {
                    self.link(&fold(target.get(at..).unwrap_or_default()));
                }
            }
            if self.links >= LINKS_MAX {
                break;
            }
        }
        self.text(&html::to_text(text));
    }

    /// The host of a link, and the domain that it is in. `rest` begins with `://`.
    fn link(&mut self, rest: &str) {
        if self.links >= LINKS_MAX {
            return;
        }
        self.links += 1;
        let rest = rest.get(3..).unwrap_or_default();
        let host = rest.split(['/', '?', '#', '"', '>', ' ', '\n', ')']).next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let host = host.split(':').next().unwrap_or_default();
        self.add("link:", host);
        let mut dots = host.rmatch_indices('.').map(|(at, _)| at.saturating_add(1));
        if let Some(at) = dots.nth(1) {
            self.add("link:", host.get(at..).unwrap_or_default());
        }
    }

    /// The words of a text in lower case. A script without spaces between words gives pairs of
    /// characters.
    fn words(&mut self, kind: &str, text: &str) {
        let count = if kind.is_empty() { usize::MAX } else { FIELD_WORDS_MAX };
        for word in text.split(|c: char| !is_of_word(c)).take(count) {
            if self.list.len() >= self.max {
                return;
            }
            if word.chars().any(is_of_continuous_script) {
                self.pairs(kind, word);
                continue;
            }
            let word = word.trim_matches(['\'', '-', '’']);
            let len = word.chars().take(WORD_LEN_MAX + 1).count();
            let is_number = word.len() > 4 && word.bytes().all(|byte| byte.is_ascii_digit());
            if (WORD_LEN_MIN..=WORD_LEN_MAX).contains(&len) && !is_number {
                self.add(kind, word);
            }
        }
    }

    fn pairs(&mut self, kind: &str, word: &str) {
        let mut previous = None;
        for c in word.chars() {
            if let Some(first) = previous {
                self.add(kind, &String::from_iter([first, c]));
            }
            if self.list.len() >= self.max {
                return;
            }
            previous = Some(c);
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\'' | '’' | '-' | '$' | '€' | '£' | '%' | '!')
}

/// Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without spaces between words.
fn is_of_continuous_script(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x9fff
        | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}
