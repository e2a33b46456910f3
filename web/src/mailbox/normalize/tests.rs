use super::*;
use freehold_mime::Structure;
use freehold_mime::html::tokens::Tokens;

use crate::mailbox::parsed::ParsedMessage;

/// The one picture of a message, with the Content-ID 1.
fn picture() -> Pictures {
    let message = "Content-ID: <1>\r\nContent-Type: image/gif\r\n\r\nGIF89a";
    Pictures::of(&ParsedMessage::of(message.into()), Structure::ROOT)
}

#[test]
fn hidden_elements_are_dropped() {
    for (html, normal) in [
        ("<div style=\"Display: none\">a<div>b</div></div>c", "c"),
        ("<span hidden>a</span>c", "c"),
        ("<div style='display:none'>never closed", "<div>never closed</div>"),
        ("<p style='display:block'>a", "<p>a</p>"),
        (
            "<style>.pre{display:none}</style><span class=pre>a</span><b class=x id=y>c</b>",
            "<b>c</b>",
        ),
        ("<td style='font-size:0'><p style='font-size:16px'>a</p></td>", "<p>a</p>"),
        (
            "<noscript><p>a</p><img src=x alt=b></noscript><object><i>c</i></object>",
            "<p>a</p>b<i>c</i>",
        ),
    ] {
        assert_eq!(normalize(html, &picture()).unwrap().as_str(), normal, "{html}");
    }
    let many = "<div hidden>a</div>".repeat(1_000);
    assert_eq!(normalize(&many, &picture()).unwrap().as_str(), "");
}
use crate::mailbox::sanitise;

fn normalized(html: &str) -> String {
    normalize(html, &picture()).unwrap().as_str().to_owned()
}

/// The deepest nesting in HTML whose every element is closed, and the number of elements.
fn depth_and_count(html: &str) -> (usize, usize) {
    let (mut depth, mut deepest, mut count) = (0usize, 0, 0);
    for token in Tokens::of(html) {
        match token {
            Token::Start(start) if one_of(VOID, start.name).is_none() => {
                (depth, count) = (depth + 1, count + 1);
                deepest = deepest.max(depth);
            }
            Token::End(_) => depth -= 1,
            Token::Start(_) => count += 1,
            Token::Text(_) => {}
        }
    }
    assert_eq!(depth, 0, "{html}");
    (deepest, count)
}

#[test]
fn well_formed_html_is_unchanged() {
    for html in [
        "<p>Dear <b>Alice</b>,<br>see <a href=\"https://a.example/?a=1&amp;b=2\" title=\"&quot;it&quot;\">this</a>.</p>",
        "<ul><li>one<ul><li>two</li></ul></li><li>three</li></ul><dl><dt>a</dt><dd>b</dd></dl>",
        "<table><caption>c</caption><thead><tr><th>a</th></tr></thead><tbody><tr><td colspan=\"2\">b<table><tr><td>c</td></tr></table></td></tr></tbody></table>",
    ] {
        assert_eq!(normalized(html), html);
    }
}

#[test]
fn link_that_names_another_host_shows_its_own() {
    for (html, expected) in [
        (
            "<a href='https://evil.example'><b>https://bank</b>.example</a>!",
            "<a href=\"https://evil.example\"><b>https://bank</b>.example</a> <bdi>[evil.example]</bdi> !",
        ),
        (
            "<a href='https://evil.example'>&#98;ank.example<p>x<a href=y>z",
            "<a href=\"https://evil.example\">&#98;ank.example<p>x</p></a> <bdi>[evil.example]</bdi> <a href=\"y\">z</a>",
        ),
        (
            "<a href='https://evil.example'>bank.example<table><td><a>x</table></a>",
            "<a href=\"https://evil.example\">bank.example<table><tr><td><a>x</a></td></tr></table></a> <bdi>[evil.example]</bdi> ",
        ),
        (
            "<a href='https://a.example/x'>a.example</a>",
            "<a href=\"https://a.example/x\">a.example</a>",
        ),
    ] {
        assert_eq!(normalized(html), expected, "{html}");
    }
}

#[test]
fn jumps_inside_a_message_are_kept() {
    for (html, expected) in [
        (
            "<a href='#1'>x</a><a name=1 id=0>y</a><p id=2>z",
            "<a href=\"#1\" target=\"_self\">x</a><a name=\"1\">y</a><p>z</p>",
        ),
        (
            "<h2 id='a b'>x</h2><a href='#a%20b'>y</a>",
            "<h2 id=\"a b\">x</h2><a href=\"#a%20b\" target=\"_self\">y</a>",
        ),
        ("<p name=1>x</p><a href=' #1'>y</a>", "<p>x</p><a href=\" #1\" target=\"_self\">y</a>"),
        ("<a href='b#1'>x</a><p id=1>y", "<a href=\"b#1\">x</a><p>y</p>"),
    ] {
        assert_eq!(normalized(html), expected, "{html}");
    }
    let many: String = (0..9_000).map(|n| format!("<a id={n} href='#{n}'>x</a>")).collect();
    assert_eq!(normalized(&many).matches(" id=").count(), 9_000);
}

#[test]
fn list_numbers_are_kept() {
    let html = "<ol start=\"3\" type=\"a\" reversed=\"\"><li value=\"7\">x</li></ol>";
    assert_eq!(normalized(html), html);
    assert_eq!(normalized("<p value=1 type=a reversed start=2>x"), "<p>x</p>");
}

#[test]
fn struck_text_stays_struck() {
    for (html, expected) in [
        ("<span style='text-decoration:line-through'>9</span>8", "<span><s>9</s></span>8"),
        ("<font style='TEXT-DECORATION-LINE: Line-Through'>9</font>8", "<font><s>9</s></font>8"),
        (
            "<style>.old{text-decoration:line-through red}</style><table><td class=old>9<td>8",
            "<table><tr><td><s>9</s></td><td>8</td></tr></table>",
        ),
        (
            "<p style='text-decoration:line-through'>9<span style='text-decoration:line-through'>8",
            "<p><s>9<span>8</span></s></p>",
        ),
        (
            "<span style='text-decoration:line-through;text-decoration:none'>9</span>",
            "<span>9</span>",
        ),
        ("<tr style='text-decoration:line-through'><td>9", "9"),
        ("<img style='text-decoration:line-through' src=cid:1>", "<img src=\"cid:0\">"),
    ] {
        assert_eq!(normalized(html), expected, "{html}");
    }
}

#[test]
fn open_elements_are_closed_as_the_standard_says() {
    for (html, expected) in [
        ("<p>a<p>b<div>c", "<p>a</p><p>b</p><div>c</div>"),
        ("<UL><LI>a<LI><b>b<LI>c</UL>", "<ul><li>a</li><li><b>b</b></li><li>c</li></ul>"),
        ("<b><i>x</b>y</i>", "<b><i>x</i></b>y"),
        ("<a href=1>x<a href=2>y", "<a href=\"1\">x</a><a href=\"2\">y</a>"),
        ("<h1>a<h2>b", "<h1>a</h1><h2>b</h2>"),
        (
            "<table> <tr> <td>a<td>b<tr><th>c</table>d",
            "<table><tr> <td>a</td><td>b</td></tr><tr><th>c</th></tr></table>d",
        ),
        (
            "<table><tbody><tr><td>a<tbody><td>b",
            "<table><tbody><tr><td>a</td></tr></tbody><tbody><tr><td>b</td></tr></tbody></table>",
        ),
        ("<td>x</td><tr>y", "xy"),
        ("<div><table><tr><td>x</div>y", "<div><table><tr><td>xy</td></tr></table></div>"),
        (
            "<p title='a\"b'>1 < 2<font color=red> <o:p>x</o:p>",
            "<p title=\"a&quot;b\">1 &lt; 2 x</p>",
        ),
        (
            "<style>p{}</style><script>a<b></script><title>t</title>x<svg><text>y</svg>z<!--[if mso]>w<![endif]-->",
            "xz",
        ),
    ] {
        assert_eq!(
            normalized(html).replace("<tr> ", "<tr>"),
            expected.replace("<tr> ", "<tr>"),
            "{html}"
        );
    }
}

#[test]
fn remote_images_are_counted() {
    let html = "<img src=\"https://t.example/a.gif\"><IMG SRC=HTTP://t.example/b><img src='//t.example/c'><img src=cid:1 alt=cat><!--<img src=http://x>-->";
    let normalized_html = normalize(html, &picture()).unwrap();
    assert_eq!(
        normalized("one <img src=\"http://t.example/a\" alt=\"a <cat>\"> two"),
        "one a &lt;cat> two"
    );
    assert_eq!(
        (normalized_html.remote_images, normalized_html.as_str()),
        (3, "<img src=\"cid:0\" alt=\"cat\">")
    );
}

#[test]
fn misplaced_table_content_is_put_into_a_cell() {
    assert_eq!(
        normalized("<table>a<br>b<tr>c<td>d"),
        "<table><tr><td>a<br>b</td></tr><tr><td>c</td><td>d</td></tr></table>"
    );
}

#[test]
fn normalized_html_bounds_the_parsers_work() {
    let bold: String = (0..400).map(|n| format!("<b title={n}>")).collect();
    let bombs = [
        "<div>".repeat(49_000),
        "<a>".repeat(49_000),
        "<b><p>".repeat(24_000),
        "<span><div></span>".repeat(16_000),
        "<p><b></p>".repeat(16_000),
        format!("{bold}{}", "<p>x".repeat(40_000)),
        format!("<table>{}", "<br>x".repeat(49_000)),
        format!("{}{}", "<br>".repeat(20_000), "<a><p></a>".repeat(9_000)),
        "<table><tr><td>".repeat(16_000),
        "<table>".repeat(49_000),
        "<select><option>".repeat(20_000),
        "<svg><p>".repeat(24_000),
        "<ul><li>".repeat(24_000),
        "<ruby><rt><p>".repeat(16_000),
        format!("<p {}>x", (0..150_000).map(|n| format!("a{n:x} ")).collect::<String>()),
        format!("<p {}>x", "title=x ".repeat(120_000)),
        "<!--".repeat(200_000),
        "<style></styl".repeat(80_000),
        "<".repeat(HTML_LEN_MAX),
        "&amp".repeat(200_000),
        "<td style=text-decoration:line-through>".repeat(24_000),
        "<a id=a href=#a>".repeat(49_000),
    ];
    for bomb in bombs {
        let head = bomb.get(..24.min(bomb.len())).unwrap();
        let normalized_html =
            normalize(&bomb, &picture()).unwrap_or_else(|| panic!("{head} was refused"));
        let (depth, count) = depth_and_count(normalized_html.as_str());
        assert!(
            depth <= DEPTH_MAX && count <= 2 * TAGS_MAX,
            "{head}: {count} elements, {depth} deep"
        );
        assert!(
            normalized_html.as_str().len() <= 8 * bomb.len() + 20_000,
            "{head}: {} bytes",
            normalized_html.as_str().len()
        );
        // The parser adds table bodies only, so depth and count stay near those of the input.
        let (depth, parsed) =
            depth_and_count(&sanitise::clean(&normalized_html, std::collections::HashMap::new()));
        assert!(
            depth <= DEPTH_MAX + DEPTH_MAX / 3 && parsed <= 2 * count,
            "{head}: {parsed} elements of {count}, {depth} deep"
        );
    }
}

#[test]
fn html_over_its_limits_is_refused() {
    assert!(normalize(&"x".repeat(HTML_LEN_MAX), &picture()).is_some());
    assert!(normalize(&"x".repeat(HTML_LEN_MAX + 1), &picture()).is_none());
    assert!(normalize(&"<br>".repeat(TAGS_MAX), &picture()).is_some());
    assert!(normalize(&"<br>".repeat(TAGS_MAX + 1), &picture()).is_none());
}

#[test]
fn damaged_html_is_bounded_before_and_after_parsing() {
    let names = format!("{ALLOWED} script style title textarea noscript svg math object template select option font o:p").replace(' ', "><");
    let corpus = [
        format!("<{names}>").repeat(2).into_bytes(),
        format!("<{names}>text</{}>", names.replace('<', "</")).into_bytes(),
        b"<table><tr><td><p>a<b>b</td></tr>c</table><a href='x'><a>d</b></p><li><dd><ruby><rt>"
            .repeat(20),
        b"<p><b><i><table><caption><h1>x<tbody><td><ul><li></table></i></p><h2></h1><center></td>"
            .repeat(20),
    ];
    freehold_core::testing::fuzz::fuzz("message html", &corpus, |input| {
        let html = String::from_utf8_lossy(input);
        let normalized_html = normalize(&html, &picture()).unwrap();
        let (depth, count) = depth_and_count(normalized_html.as_str());
        assert!(depth <= DEPTH_MAX, "{depth} deep: {html}");
        let (depth, parsed) =
            depth_and_count(&sanitise::clean(&normalized_html, std::collections::HashMap::new()));
        assert!(
            depth <= DEPTH_MAX + DEPTH_MAX / 3 && parsed <= 2 * count + 10,
            "{parsed} of {count}, {depth} deep: {html}"
        );
    });
}
