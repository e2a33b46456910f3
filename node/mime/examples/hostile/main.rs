//! Reads messages of 25 MiB of hostile shapes and prints the processor time and the memory for
//! each, the message itself not counted: `cargo run --release -p freehold-mime --example hostile`.
//! It fails if a shape takes more than its limits. Each runs in a process of its own.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for tests")]

mod shapes;

use std::process::{Command, ExitCode};

use freehold_mime::{Content, Kind, Shown, Structure, content, date, header, html, people, word};

/// The length of each message, in bytes.
const LEN: usize = 25 * 1024 * 1024;
const CPU_MS_MAX: u64 = 2_000;
const MEMORY_KIB_MAX: u64 = 128 * 1024;
/// A page reads so much of one text, and of one HTML text, in encoded bytes.
const TEXT_LEN_MAX: usize = 1024 * 1024;
const HTML_LEN_MAX: usize = 4 * 1024 * 1024;

fn main() -> std::io::Result<ExitCode> {
    if let Some(wanted) = std::env::args().nth(1) {
        let found = shapes::SHAPES.iter().find(|(name, _)| *name == wanted);
        let Some((name, make)) = found else { return Ok(ExitCode::from(2)) };
        return measure(name, &make(LEN));
    }
    let mut is_over = false;
    for (name, _) in shapes::SHAPES {
        is_over |= !Command::new(std::env::current_exe()?).arg(name).status()?.success();
    }
    Ok(ExitCode::from(u8::from(is_over)))
}

fn measure(name: &str, message: &[u8]) -> std::io::Result<ExitCode> {
    let status = |field: &str| -> std::io::Result<u64> {
        let text = std::fs::read_to_string("/proc/self/status")?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
        Ok(line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0))
    };
    // The time of this thread in nanoseconds, and the peak of the memory set back.
    let time = || -> std::io::Result<u64> {
        let text = std::fs::read_to_string("/proc/self/schedstat")?;
        Ok(text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
    };
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (memory, start) = (status("VmRSS")?, time()?);
    let seen = read(message);
    let cpu = time()?.saturating_sub(start) / 1_000_000;
    let memory = status("VmHWM")?.saturating_sub(memory);
    println!("{name:30} {cpu:6} ms {memory:8} KiB {seen:9} bytes shown");
    Ok(ExitCode::from(u8::from(cpu > CPU_MS_MAX || memory > MEMORY_KIB_MAX)))
}

/// Reads all that delivery, IMAP and a page read, and gives the length of what is shown.
fn read(message: &[u8]) -> usize {
    let structure = Structure::parse(message);
    let fields = structure.header(message, Structure::ROOT);
    let charset = content::main_charset(&structure);
    let charset = charset.as_deref();
    let mut seen = 0usize;
    for name in ["from", "to", "cc", "reply-to"] {
        seen += people::of(fields, name, charset).len();
    }
    for name in ["subject", "message-id", "references", "date"] {
        let value = header::first(fields, name).unwrap_or_default();
        seen += word::decode(value, charset).len() + usize::from(date::parse(value).is_some());
    }
    let mut contents = vec![Content::of(message, &structure)];
    while let Some(content) = contents.pop() {
        for shown in content.shown {
            seen += match shown {
                Shown::Text(id) => content::text_of(message, &structure, id, TEXT_LEN_MAX).len(),
                Shown::Html(id) => {
                    let source = content::html_of(message, &structure, id, HTML_LEN_MAX);
                    html::to_text(&source).len().max(html::to_plain(&source).len())
                }
                Shown::Image(id) => structure.body(message, id).len(),
                Shown::Message(id) => {
                    contents.push(Content::inside(message, &structure, id));
                    0
                }
            };
        }
        for id in content.files.into_iter().chain(content.related) {
            seen += content::file_name(message, &structure, id).len();
            if structure.part(id).kind == Kind::Leaf {
                seen += structure.decoded(message, id).bytes.len().min(1);
            }
        }
    }
    seen
}
