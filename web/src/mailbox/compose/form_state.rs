//! The values that the form has and a message lacks, in a field of the draft's header: recipients
//! as they were typed, the moment at which it is to be sent, and the message that it answers or
//! forwards. A message that is sent has no such field.

use freehold_mime::header;
use freehold_mime::media::percent_decoded;

use super::form::MessageForm;
use crate::response::percent_encoded;

const FIELD: &str = "X-Freehold-Draft";
/// The longest value that is stored, in bytes.
const VALUE_LEN_MAX: usize = 16 * 1024;
/// The length of a line, in bytes.
const LINE_LEN: usize = 72;

/// The values that are stored, by their names in the field.
fn values(form: &mut MessageForm) -> [(&'static str, &mut String); 5] {
    [
        ("to", &mut form.to),
        ("cc", &mut form.cc),
        ("later", &mut form.later),
        ("reply", &mut form.reply),
        ("forwarded", &mut form.forwarded),
    ]
}

/// The field with its line end.
pub(super) fn field(form: &MessageForm) -> String {
    let mut form = form.clone();
    if form.forwarded.is_empty() {
        form.forwarded.clone_from(&form.forward);
    }
    let kept = values(&mut form).into_iter().filter(|(_, value)| {
        let value = value.trim();
        !value.is_empty() && value.len() <= VALUE_LEN_MAX
    });
    let pair = |(name, value): (&str, &mut String)| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        format!("{name}={}", percent_encoded(value.trim().as_bytes(), is_plain))
    };
    let pairs: Vec<String> = kept.map(pair).collect();
    let text = format!("v=1;{}", pairs.join(";"));
    // All of it is ASCII.
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(LINE_LEN)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!("{FIELD}: {}\r\n", lines.join("\r\n\t"))
}

/// The values of the field in a header; the other fields of the form are empty.
pub(super) fn read(fields: &[u8]) -> MessageForm {
    let mut form = MessageForm::default();
    let Some(value) = header::first(fields, FIELD) else { return form };
    let value: Vec<u8> = value.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    for pair in value.split(|byte| *byte == b';') {
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { continue };
        let (name, encoded) = pair.split_at_checked(equals).unwrap_or_default();
        let found = values(&mut form).into_iter().find(|(known, _)| known.as_bytes() == name);
        if let Some((_, value)) = found {
            let decoded = percent_decoded(encoded.get(1..).unwrap_or_default());
            *value = String::from_utf8_lossy(&decoded).into_owned();
        }
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_fields_survive_in_the_header() {
        let to = format!("Dora, \"Doe; Bob\" <bob@b.example>,\r\nBcc: x, {}", "ü".repeat(200));
        let form = MessageForm {
            to: to.clone(),
            later: "2026-12-01T10:00".into(),
            forward: "3.4".into(),
            ..MessageForm::default()
        };
        let field = field(&form);
        assert!(field.is_ascii() && field.lines().all(|line| line.len() < 100), "{field}");
        assert_eq!(header::fields(field.as_bytes()).count(), 1);
        let read = read(field.as_bytes());
        assert_eq!((read.to, read.later.as_str()), (to, "2026-12-01T10:00"));
        assert_eq!(
            (read.forwarded.as_str(), read.forward.as_str(), read.cc.as_str()),
            ("3.4", "", "")
        );
    }
}
