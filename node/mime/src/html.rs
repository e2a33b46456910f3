//! The words of an HTML text, for previews, search and replies. Nothing here makes HTML safe to
//! show.

mod reference;
mod style;
pub mod tokens;
pub mod visible;
mod writer;

use visible::Visible;
use writer::Writer;

/// The words of an HTML text, a block on a line. The result is never longer than `html` by more
/// than a few bytes.
pub fn to_text(html: &str) -> String {
    write(html, false)
}

/// An HTML text as plain text that can be read and quoted: with empty lines between paragraphs,
/// markers for lists and quotations, and the lines and spaces of `<pre>`. The result is at most
/// ten times as long as `html`.
pub fn to_plain(html: &str) -> String {
    write(html, true)
}

fn write(html: &str, is_laid_out: bool) -> String {
    let mut writer = Writer::new(is_laid_out);
    Visible::of(html).for_each(|token| writer.token(&token));
    writer.finish()
}

/// True if nothing of an HTML text can be seen without loading anything: neither words nor a
/// picture that came with it.
pub fn is_blank(html: &str) -> bool {
    if to_text(html).contains(crate::text::is_visible) {
        return false;
    }
    let mut sources = memchr::memmem::find_iter(html.as_bytes(), b":").filter_map(|at| {
        let start = at.checked_sub(3)?;
        html.as_bytes().get(start..at)
    });
    !sources.any(|scheme| scheme.eq_ignore_ascii_case(b"cid")) && !html.contains("data:image/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_html_are_found() {
        for (html, text) in [
            ("<p>Look,\r\na <b>view</b></p>", "Look, a view"),
            ("<p>a</p><p>b</p>c<br>d", "a\nb\nc\nd"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
            ("Gr&uuml;&szlig;e &amp; &#8364; &#x20AC; &#150; &euro;", "Grüße & € € – €"),
            ("a &unknown; b & c", "a &unknown; b & c"),
            ("<style>p{}</style>a<script>if (a<b) x()</script>b", "ab"),
            ("<!-- <p> -->a<!doctype html>b", "ab"),
            ("<a title=\"x > y\">a</a><a title=it's>b</a>", "ab"),
            ("1 < 2 <3", "1 < 2 <3"),
            ("a<b", "a"),
            ("<style>never closed", ""),
            ("<!-- never closed", ""),
            ("", ""),
        ] {
            assert_eq!(to_text(html), text, "{html}");
        }
    }

    #[test]
    fn hidden_words_are_left_out() {
        for (html, text) in [
            ("a<div style=\"Display: none !important\">b<div>c</div>d</div>e", "ae"),
            ("a<span hidden>b</span>c", "ac"),
            ("a<span style='opacity:0'>b</span>c", "ac"),
            ("a<span style='opacity:0.5'>b</span>c", "abc"),
            ("a<span style='display:/**/none'>b</span>c", "ac"),
            ("a<div style='display:none'>never closed", "a\nnever closed"),
            ("<style>.pre{display:none}</style><div class=pre>a</div><p>b", "b"),
            ("<td style='font-size:0'><p style='font-size:16px'>a</p></td>", "a"),
            ("a<a style='mso-hide:all' href=x>b</a>", "ab"),
        ] {
            assert_eq!(to_text(html), text, "{html}");
        }
    }

    #[test]
    fn laid_out_text_keeps_lines_lists_and_quotations() {
        for (html, text) in [
            ("<p>a</p><p>b<br>c</p>", "a\n\nb\nc"),
            ("a<br><br>b<br><br><br><br><br>c", "a\n\nb\n\n\nc"),
            ("<div>a</div><div>b</div>", "a\nb"),
            ("<pre>\nfn a() {\n    b  c\n\n}</pre>d", "fn a() {\n    b  c\n\n}\n\nd"),
            ("x<pre>  a\tb\r\n <b>c</b></pre>", "x\n\n  a b\n c"),
            (
                "<ul><li>a<li>b<ol start=3><li>c<li><p>d</p></ol></ul>e",
                "- a\n- b\n  3. c\n  4. d\n\ne",
            ),
            ("<table><tr><th>a<th>b<tr><td>c<td>d</table>e", "a  b\nc  d\n\ne"),
            (
                "a<blockquote><p>b</p><p>c</p><blockquote>d</blockquote></blockquote>e",
                "a\n\n> b\n>\n> c\n>\n>> d\n\ne",
            ),
            ("a<hr>b", "a\n---\nb"),
            ("<td>a<td>b", "a  b"),
            ("<noscript>a</noscript><object>b</object>", "ab"),
        ] {
            assert_eq!(to_plain(html), text, "{html}");
        }
    }

    #[test]
    fn blank_html_is_noticed() {
        for html in [
            "",
            "\r\n",
            "<html><body><p>&nbsp;</p></body></html>",
            "<style>a</style>",
            "<img src='https://x.example/a.png'>",
            "<p>&#8203;\u{ad}\u{2060}</p>",
            "<div style='display:none'>a</div>",
            "<body background='https://x.example/a.png'>",
        ] {
            assert!(is_blank(html), "{html}");
        }
        for html in ["a", "<IMG src=cid:x>", "<img src='data:image/png;base64,x'>"] {
            assert!(!is_blank(html), "{html}");
        }
    }

    #[test]
    fn hostile_html_takes_linear_time() {
        for unit in [
            "<a b=\"",
            "<a b='\">",
            "<a '=\"",
            "<style>",
            "</",
            "&",
            "<!--",
            "<a b=\"'>",
            "&#1",
            "<li>",
            "<ul><li>a",
            "<blockquote>a",
            "<pre>\n a",
            "<br>",
            "<hr>",
            "<div hidden>",
        ] {
            let html = unit.repeat(300_000 / unit.len());
            assert!(to_text(&html).len() <= html.len());
            assert!(to_plain(&html).len() <= html.len() * 10);
        }
        let deep = "<blockquote><ol start=4294967200>".repeat(20) + &"<li>a".repeat(50_000);
        assert!(to_plain(&deep).len() <= deep.len() * 10);
    }
}
