//! The shown parts and the files of messages, common and odd.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use super::*;

/// The content in short: `t1` is a text with the body `1`, `h` HTML, `i` a picture, `m` a message,
/// `f` a file, `r` a related part; the name of a file follows.
fn seen(message: &str) -> String {
    let structure = Structure::parse(message.as_bytes());
    let content = Content::of(message.as_bytes(), &structure);
    let body = |id: PartId| message[structure.part(id).body.clone()].trim().to_owned();
    let shown = content.shown.iter().map(|shown| match shown {
        Shown::Text(id) => format!("t{}", body(*id)),
        Shown::Html(id) => format!("h{}", body(*id)),
        Shown::Image(id) => format!("i{}", body(*id)),
        Shown::Message(_) => "m".to_owned(),
    });
    let files = content
        .files
        .iter()
        .map(|id| format!("f{}:{}", body(*id), file_name(message.as_bytes(), &structure, *id)));
    let related = content.related.iter().map(|id| format!("r{}", body(*id)));
    shown.chain(files).chain(related).collect::<Vec<_>>().join(" ")
}

/// A multipart of these parts, each a type with more fields and a body.
fn multipart(kind: &str, parts: &[(&str, &str)]) -> String {
    // A boundary of its own for each, because they are nested.
    let boundary = format!("b{}", parts.iter().map(|(_, body)| body.len()).sum::<usize>());
    let mut out = format!("Content-Type: multipart/{kind}; boundary={boundary}\r\n\r\n");
    for (fields, body) in parts {
        let fields = if fields.is_empty() {
            (*body).to_owned()
        } else {
            format!("Content-Type: {fields}\r\n\r\n{body}")
        };
        out.push_str(&format!("--{boundary}\r\n{fields}\r\n"));
    }
    out + &format!("--{boundary}--\r\n")
}

#[test]
fn all_bodies_are_shown_in_order() {
    let picture = "image/png; name=x.png\r\nContent-Disposition: inline";
    let message = multipart("mixed", &[("text/plain", "1"), (picture, "2"), ("text/plain", "3")]);
    assert_eq!(seen(&message), "t1 i2 t3");
    let footer = multipart("mixed", &[("text/plain", "1"), ("text/html", "<p>2</p>")]);
    assert_eq!(seen(&footer), "t1 h<p>2</p>");
}

#[test]
fn better_alternative_is_shown() {
    let alternative =
        |second: &str| multipart("alternative", &[("text/plain", "1"), ("text/html", second)]);
    assert_eq!(seen(&alternative("<p>2</p>")), "h<p>2</p>");
    assert_eq!(seen(&alternative("")), "t1");
    assert_eq!(seen(&alternative("<html><body>&nbsp;</body></html>")), "t1");
    assert_eq!(seen(&alternative("<img src='cid:a'>")), "h<img src='cid:a'>");
    let empty = multipart("alternative", &[("text/plain", ""), ("text/html", "")]);
    assert_eq!(seen(&empty), "h");
    let attached = ("text/html\r\nContent-Disposition: attachment; filename=x.html", "2");
    let attached = multipart("alternative", &[("text/plain", "1"), attached]);
    assert_eq!(seen(&attached), "t1 f2:x.html");
    assert_eq!(seen(&alternative("<img src='https://x.example/a.png'>")), "t1");
    let picture = multipart("related", &[("image/png; name=a.png", "2")]);
    let picture = multipart("alternative", &[("text/plain", "1"), ("", &picture)]);
    assert_eq!(seen(&picture), "t1 f2:a.png");
    let invitation = [("text/plain", "1"), ("text/html", "2"), ("text/calendar; name=a.ics", "3")];
    assert_eq!(seen(&multipart("alternative", &invitation)), "h2 f3:a.ics");
}

#[test]
fn alternative_of_several_parts_is_shown() {
    let mixed = multipart(
        "mixed",
        &[("text/html", "1"), ("application/pdf; name=a.pdf", "2"), ("text/html", "3")],
    );
    let message = multipart("alternative", &[("text/plain", "0"), ("", &mixed)]);
    assert_eq!(seen(&message), "h1 h3 f2:a.pdf");
    let hidden = multipart("alternative", &[("", &mixed), ("text/html", "shown")]);
    assert_eq!(seen(&hidden), "hshown f2:a.pdf");
}

#[test]
fn related_parts_belong_to_their_root() {
    let picture = "image/png\r\nContent-ID: <p@x>";
    let message = multipart("related", &[("text/html", "1"), (picture, "2")]);
    assert_eq!(seen(&message), "h1 r2");
    let late = multipart(
        "related; start=\"<root@x>\"",
        &[(picture, "1"), ("text/html\r\nContent-ID: <root@x>", "2")],
    );
    assert_eq!(seen(&late), "h2 r1");
    let unnamed = multipart("related", &[(picture, "1"), ("text/html", "2")]);
    assert_eq!(seen(&unnamed), "h2 r1");
}

#[test]
fn unknown_text_is_shown() {
    for kind in ["text", "text/plane", "text/markdown", "nonsense", "text/x-patch; name=a.diff"] {
        assert_eq!(seen(&format!("Content-Type: {kind}\r\n\r\nwords")), "twords", "{kind}");
    }
    assert_eq!(seen("Content-Type: text/csv; name=a.csv\r\n\r\n1"), "f1:a.csv");
    assert_eq!(seen("\r\nwords"), "twords");
    assert_eq!(seen(""), "t");
}

#[test]
fn named_text_behind_the_first_is_a_file() {
    let message = multipart(
        "mixed",
        &[
            ("text/plain", "1"),
            ("text/plain; name=a.txt", "2"),
            ("text/html\r\nContent-Disposition: attachment; filename=b.html", "3"),
        ],
    );
    assert_eq!(seen(&message), "t1 f2:a.txt f3:b.html");
}

#[test]
fn messages_and_reports_are_shown() {
    let report = multipart(
        "report; report-type=delivery-status",
        &[
            ("text/plain", "1"),
            ("message/delivery-status", "Action: failed"),
            ("message/rfc822", "Subject: x\r\n\r\ninner"),
        ],
    );
    assert_eq!(seen(&report), "t1 tAction: failed m");
    let structure = Structure::parse(report.as_bytes());
    let inner = structure.find(&[3]).unwrap();
    let content = Content::inside(report.as_bytes(), &structure, inner);
    assert_eq!(content.shown.len(), 1);
    let headers =
        multipart("report", &[("text/plain", "1"), ("text/rfc822-headers", "Subject: x")]);
    assert_eq!(seen(&headers), "t1 tSubject: x");
    let forwarded = "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ninner";
    assert_eq!(seen(forwarded), "m");
    let structure = Structure::parse(forwarded.as_bytes());
    let content = Content::inside(forwarded.as_bytes(), &structure, Structure::ROOT);
    assert_eq!(content.shown.len(), 1);
    assert!(matches!(content.shown[0], Shown::Text(_)));
}

#[test]
fn text_is_decoded_and_joined() {
    let decoded = |message: &str| {
        let structure = Structure::parse(message.as_bytes());
        text_of(message.as_bytes(), &structure, Structure::ROOT, usize::MAX)
    };
    let flowed = "Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\na \r\nb\r\n";
    assert_eq!(decoded(flowed), "ab\n");
    let footer = "Content-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: base64\r\n\r\n\
        R3LDvMOfZQ==\r\n____\r\nlist\r\n";
    assert_eq!(decoded(footer), "Grüße\n____\r\nlist\r\n");
    let quoted = "Content-Type: text/plain; charset=iso-8859-1\r\n\
        Content-Transfer-Encoding: quoted-printable (x)\r\n\r\nGr=FC=\r\n=DFe";
    assert_eq!(decoded(quoted), "Grüße");
}

#[test]
fn uuencoded_files_are_left_out_of_the_text() {
    let shown = |kind: &str, body: &str, len_max: usize| {
        let message = format!("Content-Type: {kind}\r\n\r\n{body}");
        let structure = Structure::parse(message.as_bytes());
        text_of(message.as_bytes(), &structure, Structure::ROOT, len_max)
    };
    let body = "one\r\nbegin 664 test.txt\r\n#0V%T\r\n`\r\nend\r\ntwo\r\n\
        begin 0644 b.txt\r\n#0V%T\r\n#0V%T\r\nend\r\nthree";
    assert_eq!(shown("text/plain", body, usize::MAX), "one\r\ntwo\r\nthree");
    assert_eq!(shown("text/plain", body, 30), "one\r\n");
    assert_eq!(shown("text/plain; format=flowed", body, usize::MAX), "one\ntwo\nthree\n");
    assert_eq!(shown("text/x-code", body, usize::MAX), body);
    for damaged in [
        "begin 664 a\r\nwords\r\nend\r\n",
        "begin 664 a\r\n#0V%T\r\n`\r\n",
        "begin 664\r\n#0V%T\r\n`\r\nend\r\n",
        "begin 984 a\r\n#0V%T\r\n`\r\nend\r\n",
        "begin 64 a\r\n#0V%T\r\n`\r\nend\r\n",
        "begin to write\r\nat the end\r\n",
        " begin 664 a\r\n#0V%T\r\n`\r\nend\r\n",
    ] {
        assert_eq!(shown("text/plain", damaged, usize::MAX), damaged);
    }
}

#[test]
fn enriched_text_is_shown_without_commands() {
    let shown = |kind: &str, body: &str| {
        let message = format!("Content-Type: text/{kind}; charset=utf-8\r\n\r\n{body}");
        let structure = Structure::parse(message.as_bytes());
        text_of(message.as_bytes(), &structure, Structure::ROOT, usize::MAX)
    };
    for (body, text) in [
        ("<bold>Now</bold> is\r\nthe time", "Now is the time"),
        ("a\r\n\r\nb\n\n\nc", "a\nb\n\nc"),
        ("1 << 2 <<bold>", "1 < 2 <bold>"),
        ("<color><param>red</param>a</color> <Fontfamily><PARAM>x\r\ny</Param>b", "a b"),
        ("<nofill>a\r\nb</nofill>\r\nc", "a\nb c"),
        ("a <3 b < c <never", "a <3 b < c <never"),
        ("<param>never closed", "never closed"),
        ("<x-tag>Grüße</x-tag>", "Grüße"),
        ("", ""),
    ] {
        assert_eq!(shown("enriched", body), text, "{body}");
    }
    for (body, text) in [
        ("<bold>Now</bold> is\r\n\r\nthe<nl>\r\ntime", "Now is the\ntime"),
        ("a<lt>b<NL><nl>c", "a<b\n\nc"),
        ("<comment>a <bold>b</bold></comment>c<paragraph>d</paragraph>e", "c\n\nd\n\ne"),
        ("<comment>never closed", "never closed"),
        ("<<bold>a", "<a"),
    ] {
        assert_eq!(shown("richtext", body), text, "{body}");
    }
}

#[test]
fn charset_of_the_text_is_found() {
    let message = multipart("mixed", &[("image/png", "1"), ("text/plain; charset=koi8-r", "2")]);
    assert_eq!(main_charset(&Structure::parse(message.as_bytes())).as_deref(), Some("koi8-r"));
}

proptest::proptest! {
    #[test]
    fn each_part_is_in_one_list(lines in proptest::collection::vec(
        proptest::sample::select(vec![
            "--a", "--b", "--a--", "--b--", "", "x",
            "Content-Disposition: attachment; filename=x",
            "Content-Type: multipart/alternative; boundary=a",
            "Content-Type: multipart/related; boundary=b",
            "Content-Type: multipart/mixed; boundary=b",
            "Content-Type: text/html",
            "Content-Type: image/png; name=y",
            "Content-Type: message/rfc822",
            "Content-ID: <a>",
        ]), 0..60)) {
        let message = lines.join("\r\n");
        let structure = Structure::parse(message.as_bytes());
        let content = Content::of(message.as_bytes(), &structure);
        let shown = content.shown.iter().map(|shown| match shown {
            Shown::Text(id) | Shown::Html(id) | Shown::Image(id) | Shown::Message(id) => *id,
        });
        let mut all: Vec<PartId> = shown.chain(content.files).chain(content.related).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
