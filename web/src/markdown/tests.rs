use std::time::{Duration, Instant};

use freehold_core::testing::fuzz::fuzz;

use super::*;

fn render(text: &str) -> Html {
    render_post("A title", text)
}

fn render_foreign(text: &str, prefix: &str) -> Html {
    render_one_of_many("A title", text, prefix, Author::Friend { address: None })
}

#[test]
fn markdown_has_tables_footnotes_code_and_heading_ids() {
    let html = render(
        "# The hill\n\nWe *walked*[^1] ~~ran~~.\n\n```rust\nfn a() {}\n```\n\n|a|b|\n|:-|-:|\n|1|2|\n\n# The hill\n\n[^1]: Slowly.\n",
    );
    let html = html.as_str();
    for part in [
        "<h2 id=\"the-hill\">The hill</h2>",
        "<h2 id=\"the-hill-2\">",
        "<em>walked</em>",
        "<del>ran</del>",
        "<code class=\"language-rust\">",
        "<td class=\"right\">2</td>",
        "<sup class=\"footnote-reference\" id=\"fn-1-mark\"><a href=\"#fn-1\"",
        "id=\"fn-1\"",
        "href=\"#fn-1-mark\"",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert!(!html.contains("<h1") && !html.contains("style="));
}

#[test]
fn hostile_html_is_removed_from_every_text() {
    let hostile = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href=\"javascript:alert(1)\">x</a>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](vbscript:x)",
        "![x](https://tracker.example/a.png)",
        "![x](//tracker.example/a.png)",
        "![x](/photos/../../private)",
        "<img src=\"/photos//tracker.example/a.png\">",
        "<iframe src=https://x.example></iframe>",
        "<svg><script>alert(1)</script></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<form action=https://x.example><input name=password><button>go</button></form>",
        "<p style=\"position:fixed\" onclick=x class=menu>x</p>",
        "<link rel=stylesheet href=https://x.example><meta http-equiv=refresh content=0>",
        "<base href=https://x.example>",
        "<video src=https://x.example autoplay></video><object data=x></object><embed src=x>",
        "```x\" onload=\"alert(1)\n```",
    ];
    for text in hostile {
        for html in [render(text), render_foreign(text, "a-")] {
            let html = html.as_str().replace("&lt;", "(").replace("&quot;", "'");
            for bad in [
                "<script",
                "<img src",
                "<iframe",
                "<svg",
                "<form",
                "<input",
                "<style",
                "<link",
                "<meta",
                "<base",
                "<video",
                "javascript:\"",
                " onerror=\"",
                " onload=\"",
                "<p style=\"",
                "href=\"data:",
                "href=\"vbscript:",
            ] {
                assert!(!html.contains(bad), "{bad} of {text} in {html}");
            }
        }
    }
}

#[test]
fn own_pictures_are_shown_and_remote_ones_linked() {
    assert!(
        render("![the hill](/photos/the-hill/1600)")
            .as_str()
            .contains("<img src=\"/photos/the-hill/1600\" alt=\"the hill\"")
    );
    let remote = render("![the hill](https://x.example/a.png)");
    assert!(
        remote
            .as_str()
            .contains("<a href=\"https://x.example/a.png\" rel=\"noopener\">the hill</a>"),
        "{remote}"
    );
    let foreign = render_foreign(
        "![the hill](/photos/the-hill/1600) <b>bold</b> [in](/settings) [to](#a-x)",
        "a-",
    );
    assert!(
        !foreign.as_str().contains("/photos/") && !foreign.as_str().contains("/settings"),
        "{foreign}"
    );
    assert!(foreign.as_str().contains("href=\"#a-x\""), "{foreign}");
}

#[test]
fn html_of_friends_is_shown_as_on_their_site() {
    let text = "One <b>bold</b> <!-- a secret --> <kbd>key</kbd>\n\n<div>a block</div>\n\n\
        <h2 id=\"main\">id</h2> <img src=\"/photos/a/400\" alt=\"the hill\">\n";
    let (own, foreign) = (render(text).to_string(), render_foreign(text, "a-").to_string());
    for part in ["<b>bold</b>", "<kbd>key</kbd>", "<div>a block</div>", ">id</h2>"] {
        assert!(own.contains(part) && foreign.contains(part), "{part}: {own} {foreign}");
    }
    assert!(!own.contains("secret") && !foreign.contains("secret"), "{own} {foreign}");
    assert!(!foreign.contains("main") && !foreign.contains("/photos/"), "{foreign}");
    assert!(foreign.contains("the hill"), "{foreign}");
    let many = "<b>".repeat(HTML_TAGS_MAX + 1);
    assert!(render_foreign(&many, "a-").to_string().contains("&lt;b&gt;"));
}

#[test]
fn relative_links_of_friends_lead_to_their_site() {
    let author = Author::Friend { address: Some("https://bob.example/2026/a-post") };
    let html = |text: &str| render_one_of_many("Title", text, "a-", author).to_string();
    for (text, address) in [
        ("[a](/2026/dup)", "https://bob.example/2026/dup"),
        ("[a](dup)", "https://bob.example/2026/dup"),
        ("<a href=\"/2026/dup\">a</a>", "https://bob.example/2026/dup"),
        ("![a](/photos/hill/1600)", "https://bob.example/photos/hill/1600"),
        ("[a](//c.example/)", "https://c.example/"),
        ("[a](?x=1)", "https://bob.example/2026/a-post?x=1"),
        ("[a](#a-part)", "#a-part"),
    ] {
        let shown = html(text);
        assert!(shown.contains(&format!("href=\"{address}\"")), "{text}: {shown}");
    }
    for text in ["[a](javascript:alert(1))", "[a](data:text/html,a)", "![a](data:image/png,a)"] {
        assert!(!html(text).contains("href"), "{text}");
    }
    assert!(!render_foreign("[a](/settings) [b](c)", "a-").to_string().contains("href"));
}

#[test]
fn removed_picture_leaves_alternative_text_and_closed_tags() {
    let after = " and *on*.\n\nNext.";
    for html in [render, |text: &str| render_foreign(text, "a-")] {
        let of = |text: &str| html(&format!("{text}{after}")).to_string();
        for (text, begins) in [
            ("![r](http://e.example/t.png)", "<p><a href=\"http://e.example/t.png\" rel=\""),
            ("![r]()", "<p>r and <em>on</em>.</p>"),
            ("![](http://e.example/t.png)", "<p><a href=\"http://e.example/t.png\" rel=\""),
            ("![r](javascript:alert(1))", "<p>r and"),
            ("![r](//e.example/t.png)", "<p>r and"),
            (
                "![a ![b](http://f.example) [c](http://g.example)](http://e.example/t.png)",
                "<p><a href=\"http://e.example/t.png\"",
            ),
        ] {
            let html = of(text);
            assert!(html.starts_with(begins), "{text}: {html}");
            assert_eq!(html.matches("<a ").count(), html.matches("</a>").count(), "{text}: {html}");
            assert!(html.ends_with(" and <em>on</em>.</p>\n<p>Next.</p>\n"), "{text}: {html}");
        }
        let linked = of("[before ![r](http://e.example/t.png)](http://p.example)");
        assert!(linked.contains(">before r</a> and"), "{linked}");
        assert_eq!(linked.matches("<a ").count(), 1, "{linked}");
    }
    assert!(render("![](/url)").as_str().contains("(a picture that is not here)"));
    assert_eq!(render_foreign("![](/url)", "").as_str(), "<p>(a picture that is not here)</p>\n");
    assert!(
        render("![*the* hill](/photos/the-hill/1600)")
            .as_str()
            .contains("<img src=\"/photos/the-hill/1600\" alt=\"the hill\"")
    );
}

#[test]
fn html_picture_without_source_leaves_alternative_text() {
    let html = render(
        "One <img src=\"https://e.example/t.png\" alt=\"a &lt;hill> &quot;late&quot;\"> two <img> three <img src=\"/photos/a/1600.jpg\">",
    );
    assert!(
        html.as_str().starts_with(
            "<p>One a &lt;hill&gt; &quot;late&quot; two  three <img src=\"/photos/a/1600.jpg\""
        ),
        "{html}"
    );
}

#[test]
fn task_list_items_have_box_characters() {
    for html in
        [render("- [ ] oars\n- [x] varnish\n"), render_foreign("- [ ] oars\n- [x] varnish\n", "a-")]
    {
        assert!(
            html.as_str().contains("<li><span class=\"task\">☐</span> oars</li>")
                && html.as_str().contains("<li><span class=\"task\">☑</span> varnish</li>"),
            "{html}"
        );
    }
}

#[test]
fn hostile_markdown_renders_within_a_time_limit() {
    let bombs = [
        ">".repeat(60_000),
        "> ".repeat(30_000),
        "- ".repeat(30_000),
        "[".repeat(60_000),
        "*a ".repeat(20_000),
        "`".repeat(60_000),
        "<div>".repeat(12_000),
        "[^1]".repeat(15_000),
        "![".repeat(30_000),
        format!("{}{}", "![".repeat(10_000), "](x)".repeat(10_000)),
        "<img ".repeat(12_000),
        format!("|{}\n|{}\n{}", "a|".repeat(500), "-|".repeat(500), "|\n".repeat(20_000)),
        "# a\n".repeat(15_000),
        "(www.".repeat(12_000),
        "https://a.b/(".repeat(4_600),
        "a@".repeat(30_000),
        "_https://a.b/".repeat(4_600),
        format!("https://a.b/{}", "*a_".repeat(20_000)),
        "x<y ".repeat(15_000),
    ];
    for bomb in bombs {
        let start = Instant::now();
        let html = render_foreign(&bomb, "a-");
        let head: String = bomb.chars().take(10).collect();
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{head} took {:?} for {} bytes",
            start.elapsed(),
            html.as_str().len()
        );
    }
}

#[test]
fn oversized_table_is_shown_as_lines() {
    let table = |columns: usize, rows: usize| {
        let (head, line) = ("a|".repeat(columns), "-|".repeat(columns));
        format!("|{head}\n|{line}\n|one|*two*|\n{}\n", "|x\n".repeat(rows))
    };
    let html = render_foreign(&table(100, 40), "a-").to_string();
    assert_eq!(
        (html.matches("<td").count(), html.matches("<th").count() - 1),
        (4100, 100),
        "{html}"
    );
    for text in [table(500, 15_000), table(2, 15_000), table(100, 40).repeat(20)] {
        let html = render_foreign(&text, "a-").to_string();
        assert!(
            html.matches("<td").count() <= tables::CELLS_MAX
                && html.len() <= 10 * text.len() + 100_000,
            "{} bytes",
            html.len()
        );
    }
    let html = render_foreign(&table(500, 15_000), "a-").to_string();
    assert!(
        html.contains("<p>one <em>two</em> </p>") && !html.contains("<table"),
        "{}",
        &html[..2000]
    );
    // Deep within quotes the rows would lose their cells, and an HTML parser moves text between
    // cells before the table.
    let deep: String =
        table(3, 3).lines().map(|line| format!("{}{line}\n", "> ".repeat(22))).collect();
    assert!(!render_foreign(&deep, "a-").to_string().contains("<table"));
}

#[test]
fn owner_html_is_kept_up_to_a_tag_limit() {
    let html = render(&"<kbd>x</kbd> ".repeat(400)).to_string();
    assert_eq!(html.matches("<kbd>").count(), 400);
    let text = render(&"<div>".repeat(12_000)).to_string();
    assert!(!text.contains("<div>") && text.contains("&lt;div&gt;"));
}

#[test]
fn line_end_in_a_note_is_a_line_break() {
    let text = "One\nTwo  \nThree\n\n- a\n  b\n\n```\nc\nd\n```\n";
    let html = render_post("", text).to_string();
    assert!(html.starts_with("<p>One<br>\nTwo<br>\nThree</p>"), "{html}");
    assert!(html.contains("<li>a<br>\nb</li>") && html.contains("c\nd"), "{html}");
    let html = render_post("Titled", text).to_string();
    assert!(html.starts_with("<p>One\nTwo<br>\nThree</p>"), "{html}");
    for author in [Author::Owner, Author::Friend { address: None }] {
        assert!(render_one_of_many("", text, "a-", author).as_str().contains("One<br>"));
    }
}

#[test]
fn words_in_angle_brackets_stay_as_text() {
    for (text, shown) in [
        ("x<y but y>z", "<p>x&lt;y but y&gt;z</p>"),
        ("A `b` of Vec<String>.", "<p>A <code>b</code> of Vec&lt;String&gt;.</p>"),
        ("<placeholder>\n", "&lt;placeholder&gt;"),
        ("<b>bold</b> </nothing>", "<p><b>bold</b> &lt;/nothing&gt;</p>"),
        ("<ruby>漢<rt>kan</rt></ruby>", "<p><ruby>漢<rt>kan</rt></ruby></p>"),
    ] {
        assert_eq!(render(text).as_str().trim_end(), shown, "{text}");
    }
}

#[test]
fn addresses_are_links_in_own_and_foreign_texts() {
    let text = "See https://a.example/b, ask c@d.example. https://a.example/<script>";
    for html in [render(text).to_string(), render_foreign(text, "a-").to_string()] {
        assert!(html.contains("<a href=\"https://a.example/b\" rel=\"noopener"), "{html}");
        assert!(html.contains("<a href=\"mailto:c@d.example\""), "{html}");
        assert!(!html.contains("<script"), "{html}");
    }
}

#[test]
fn wide_table_scrolls_in_its_own_box() {
    let html = render("|a|\n|-|\n|b|\n\n`<table>`").to_string();
    assert!(html.starts_with("<div class=\"scroll\" tabindex=\"0\"><table>"), "{html}");
    assert!(html.contains("</table></div>") && html.contains("<code>&lt;table&gt;"), "{html}");
    assert!(!render("<div class=\"scroll\" tabindex=1>x</div>").as_str().contains("scroll"));
}

#[test]
fn headings_begin_at_level_two_and_skip_none() {
    let levels = |text: &str| -> Vec<u8> {
        let html = render(text).as_str().to_owned();
        html.split("<h")
            .skip(1)
            .filter_map(|part| part.bytes().next())
            .map(|digit| digit - b'0')
            .collect()
    };
    assert_eq!(levels("## a\n\n### b\n\n## c"), [2, 3, 2]);
    assert_eq!(levels("### a\n\n# b\n\n#### c\n\n## d"), [2, 2, 3, 3]);
}

#[test]
fn code_is_highlighted_in_own_and_foreign_texts() {
    let text = "```rust\nlet a = \"<script>\";\n```\n\n```\nlet plain\n```\n";
    for html in [render(text).to_string(), render_foreign(text, "e-").to_string()] {
        assert!(
            html.contains(
                "<pre tabindex=\"0\"><code class=\"language-rust\">\
                 <span class=\"key\">let</span> a = <span class=\"text\">\"&lt;script&gt;\"</span>;"
            ),
            "{html}"
        );
        assert!(html.contains("<pre tabindex=\"0\"><code>let plain"), "{html}");
    }
    assert!(!render("<span class=\"door\">x</span>").to_string().contains("door"));
}

#[test]
fn damaged_markdown_renders_safe_html() {
    let post = "# Head\n\nA [link](https://a.example \"t\") *and* **more** ~~of~~ `it`.\n\n| a | b |\n|--|:-:|\n| 1 | ![x](y.jpg) |\n\n\
        1. one\n   - two\n     > three\n\n[^1]: note\n\n```rust\nfn main() {}\n```\n<b onclick=x>raw</b> &amp; <!-- no -->\n\n- [ ] done[^1]\n";
    let corpus = [
        post.as_bytes().to_vec(),
        b"**_`[(<".repeat(30),
        b"> - 1. ".repeat(40),
        "ä\u{202e}\u{0}é\r\n\r\n".repeat(9).into(),
    ];
    fuzz("markdown", &corpus, |input| {
        let text = String::from_utf8_lossy(input);
        let html = render_foreign(&text, "p");
        for forbidden in ["<script", "<iframe", "<object", "<style"] {
            assert!(!html.as_str().to_ascii_lowercase().contains(forbidden), "{forbidden}");
        }
        render(&text);
    });
}
