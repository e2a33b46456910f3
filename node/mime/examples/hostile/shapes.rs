//! Messages of one length whose shape is to cost a reader as much as it can.

/// A name, and the function that makes a message of about this length in bytes.
type Shape = (&'static str, fn(usize) -> Vec<u8>);

/// All shapes.
pub(crate) const SHAPES: [Shape; 34] = [
    ("messages inside messages", |len| repeated("", "Content-Type: message/rfc822\r\n\r\n", len)),
    ("multiparts inside multiparts", |len| {
        repeated("", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", len)
    }),
    ("digests inside digests", |len| {
        repeated("", "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\n", len)
    }),
    ("many parts", |len| repeated(MIXED, "--b\r\n\r\nx\r\n", len)),
    ("parts with long headers", |len| {
        let names: String = (0..60).map(|n| format!("; name*{n}*=utf-8''%41%42{n}")).collect();
        let part =
            format!("--b\r\nContent-Type: text/plain{names}\r\nX: {}\r\n\r\nx\r\n", x(25_000));
        repeated(MIXED, &part, len)
    }),
    ("one header line", |len| repeated("Subject: s\r\nX: ", "y", len)),
    ("many header fields", |len| repeated("Subject: s\r\n", "X: y\r\n", len)),
    ("one folded header field", |len| repeated("Subject: s\r\nX: y", "\r\n y", len)),
    ("open parentheses in From", |len| repeated("From: a@b.example ", "(", len)),
    ("encoded words", |len| repeated("Subject: ", "=?utf-8?q?=41?=\r\n ", len)),
    ("addresses", |len| repeated("To: a@b.example", ",\r\n \"A\" <a@b.example>", len)),
    ("base64 text", |len| repeated("Content-Transfer-Encoding: base64\r\n\r\n", BASE64, len)),
    ("base64 file", |len| {
        let head = "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n";
        repeated(head, BASE64, len)
    }),
    ("quoted-printable", |len| {
        repeated("Content-Transfer-Encoding: quoted-printable\r\n\r\n", "=3D", len)
    }),
    ("uuencode", |len| {
        let head = "Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 a\r\n";
        repeated(head, "M0V%T0V%T0V%T0V%T0V%T0V%T0V%T0V%T0V%T0V%T0V%T\r\n", len)
    }),
    ("flowed quotations", |len| {
        repeated("Content-Type: text/plain; format=flowed\r\n\r\n", ">>>> a \r\n>> b \r\n", len)
    }),
    ("uuencoded files", |len| repeated("\r\n", "begin 644 a\n#0V%T\n`\nend\n", len)),
    ("uuencoded beginnings", |len| repeated("\r\n", "begin 644 a\n#0V%T\n", len)),
    ("enriched text", |len| {
        repeated("Content-Type: text/enriched\r\n\r\n", "<<<param></a<b>\r\n\r\n", len)
    }),
    ("links in text", |len| repeated("\r\n", "www.a.example \u{430}@\u{430}a.example ", len)),
    ("lines like delimiters", |len| {
        let long = x(900);
        let mut head = String::new();
        for level in 0..49 {
            head.push_str(&format!(
                "Content-Type: multipart/mixed; boundary={long}{level}\r\n\r\n--{long}{level}\r\n"
            ));
        }
        repeated(&head, &format!("\r\n--{long}\r\n--x\r\n"), len)
    }),
    ("nested tags", |len| repeated(HTML, "<div><b><table>", len)),
    ("attributes", |len| repeated(&format!("{HTML}<p"), " class=a", len)),
    ("style sheet", |len| repeated(&format!("{HTML}<style>"), ".a,#b{display:none}", len)),
    ("styles with addresses", |len| {
        repeated(HTML, "<p style=\"background:url(a),url(b),url(c);display:x\">a", len)
    }),
    ("hidden elements", |len| {
        repeated(
            &format!("{HTML}<style>.h{{display:none}}</style>"),
            "<div class=h><p hidden>",
            len,
        )
    }),
    ("character references", |len| repeated(HTML, "&#8203;&amp&x", len)),
    ("enclosed pictures", |len| {
        let head = "Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\n\
            Content-Type: text/html\r\n\r\n";
        let images: String = (0..100_000).map(|n| format!("<img src=cid:{}>", n % 900)).collect();
        let mut head = format!("{head}{}\r\n", images.get(..800_000).unwrap_or(&images));
        for n in 0..900 {
            head.push_str(&format!(
                "--b\r\nContent-ID: <{n}>\r\nContent-Type: image/gif\r\n\r\nGIF89a\r\n"
            ));
        }
        repeated(&format!("{head}--b\r\nContent-Type: image/gif\r\n\r\n"), "GIF89a", len)
    }),
    ("alternatives", |len| {
        let part =
            format!("--b\r\nContent-Type: text/html\r\n\r\n{}\r\n", "<p>&nbsp;".repeat(2_700));
        repeated("Content-Type: multipart/alternative; boundary=b\r\n\r\n", &part, len)
    }),
    ("pages of links", |len| {
        pages("", "<a href=https://a.example/b>c.example <b>\u{430}a.example</b></a>", len)
    }),
    ("pages of jumps", |len| pages("", "<a id=a%20 href=#a%20 style=text-decoration:none>a", len)),
    ("pages of tables", |len| pages("", "<table><td><b><i><p><a href=x>b.c", len)),
    ("pages of rules", |len| {
        let rules: String = (0..2_000).map(|n| format!(".a{n}{{display:block}}")).collect();
        let style = format!("<style>{rules}{}</style>", ".x .y{z:z}".repeat(20_000));
        pages(&style, "<p class='a1 a2 a3 a4 a5 a6 a7 a8 a9' id=a style='opacity:1'>a", len)
    }),
    ("encoded messages", |len| {
        let part = format!(
            "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
            BASE64.repeat(360)
        );
        repeated(MIXED, &part, len)
    }),
];

const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
const HTML: &str = "Content-Type: text/html\r\n\r\n";
const BASE64: &str = "U3ViamVjdDogYQpDb250ZW50LVR5cGU6IHRleHQvcGxhaW4KClN1YmplY3Q6IGIK\r\n";

/// A message with eight HTML texts that are just short enough to be shown, and a file.
fn pages(head: &str, unit: &str, len: usize) -> Vec<u8> {
    let tags = unit.matches('<').count().max(1);
    let room = (1024 * 1024usize).saturating_sub(head.len() + 100);
    let count = (room / unit.len()).min(49_000 / tags);
    let part = format!(
        "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{head}{}\r\n",
        unit.repeat(count)
    );
    let file = "--b\r\nContent-Type: application/pdf\r\n\r\n";
    repeated(&format!("{MIXED}{}{file}", part.repeat(8)), "y", len)
}

fn x(len: usize) -> String {
    "x".repeat(len)
}

/// `head` and as many `unit`s behind it as make a message of this length.
fn repeated(head: &str, unit: &str, len: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(len);
    message.extend_from_slice(head.as_bytes());
    let count = len.saturating_sub(head.len()).checked_div(unit.len()).unwrap_or(0);
    (0..count).for_each(|_| message.extend_from_slice(unit.as_bytes()));
    message
}
