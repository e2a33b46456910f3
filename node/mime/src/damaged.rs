//! Fuzz tests of the whole reader over damaged messages.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use crate::{Content, Structure, address, content, date, header, header_end, html, word};
use freehold_proto::testing::fuzz::fuzz;

/// Messages of every shape that the reader knows.
const MESSAGES: [&str; 8] = [
    "From: =?utf-8?q?R=C3=BCth?= <ruth@a.example>, \"B, C\" <b@c.example>\r\n\
     To: g: a@b.example, c@d.example;\r\n\
     Subject: =?iso-8859-1?b?/Pb8?=\r\n folded\r\nDate: Sun, 22 Nov 2026 10:00:00 +0200 (x)\r\n\
     Message-ID: <1@a.example>\r\n\
     MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"xx\"\r\n\r\n--xx\r\n\
     Content-Type: text/html; charset=windows-1252\r\n\
     Content-Transfer-Encoding: quoted-printable\r\n\r\n<p>Hello =E4 &amp; &#228;</p>\r\n--xx\r\n\
     Content-Type: message/rfc822\r\n\r\n\
     Subject: inner\r\n\r\ntext\r\n--xx\r\nContent-Type: application/pdf; name*0*=utf-8''a%20; \
     name*1=b.pdf\r\n\
     Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n\
     --xx--\r\n",
    "From: a@b.example\r\nContent-Type: multipart/related; start=\"<r>\"; boundary=\"x\"\r\n\r\n\
     before\r\n--x\r\n\r\none\r\n--x\r\n\
     Content-Type: multipart/alternative; boundary=xx\r\n\r\n--xx\r\n\
     Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\ntwo \r\n> q \r\n--xx--\r\n\
     --x\r\nContent-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: inner\r\n\r\n\
     inside\r\n--d--\r\n--x--\r\nafter\r\n",
    "Content-Type: multipart/mixed\r\n\r\n--guess\r\nContent-Type: text/plain; \
     charset=utf-7\r\n\r\n+AOQ-\r\n--guess--\r\n",
    "Date: 2018-03-16T11:07:05Z\r\nContent-Type: text/html\r\n\
     Content-Transfer-Encoding: x-uuencode\r\n\r\n\
     begin 644 a\r\n#0V%T\r\n`\r\nend\r\n",
    "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTogYg==\r\n\
     <style>@media print{.a{b:c}}.h,#i{display:none}</style><blockquote><ol start=9><li \
     class=h>a<li>b</ol><pre>\n c\n</pre>\
     <table><tr hidden><td id=i>d<td>e</table><noscript>f</noscript></blockquote>",
    "no header\r\nat all\r\n",
    "\u{feff}Subject: x\r\n\r\none\r\nbegin 664 a.txt\r\n#0V%T\r\n`\r\nend\r\n\
     begin 0644 b\n#0V%T\n \nend\ntwo\r\n",
    "Content-Type: text/enriched\r\n\r\n<bold>a<<b</bold>\r\n\r\n<color><param>red</param>\
     c</color><nofill>\r\nd</nofill> <lt><nl><comment>e</comment><paragraph>",
];

#[test]
fn damaged_message_is_read_within_bounds() {
    let corpus: Vec<Vec<u8>> = MESSAGES.iter().map(|text| text.as_bytes().to_vec()).collect();
    fuzz("mime message", &corpus, |input| {
        let structure = Structure::parse(input);
        for id in structure.ids() {
            let part = structure.part(id);
            assert!(part.header.end <= part.body.start && part.body.end <= input.len());
            assert!(structure.decoded(input, id).bytes.len() <= part.body.len());
            let text = content::text_of(input, &structure, id, usize::MAX);
            assert!(text.len() <= part.body.len() * 3 + 8);
            let embedded = content::embedded(input, &structure, id);
            let len: usize = embedded.iter().map(|file| file.bytes.len()).sum();
            assert!(len <= part.body.len());
            let _ = content::file_name(input, &structure, id);
            let seen = Content::inside(input, &structure, id);
            assert!(seen.shown.len() + seen.files.len() + seen.related.len() <= structure.count());
        }
        let seen = Content::of(input, &structure);
        assert!(seen.shown.len() + seen.files.len() + seen.related.len() > 0);
    });
}

#[test]
fn damaged_header_values_are_read() {
    let corpus: Vec<Vec<u8>> = MESSAGES.iter().map(|text| text.as_bytes().to_vec()).collect();
    fuzz("mime header", &corpus, |input| {
        assert!(header_end::len(input) <= input.len());
        for field in header::fields(input) {
            assert!(word::decode(field.value, Some("koi8-r")).len() <= field.value.len() * 3 + 8);
            let _ = (date::parse(field.value), address::parse(field.value));
        }
        let text = String::from_utf8_lossy(input);
        assert!(html::to_text(&text).len() <= text.len() + 8);
        assert!(html::to_plain(&text).len() <= text.len() * 10 + 8);
    });
}
