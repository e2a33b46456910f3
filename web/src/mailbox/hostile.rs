//! Pages of messages of hostile shapes. With `FREEHOLD_MEASURE` set, the processor time and the
//! memory of the pages of messages of 25 MiB:
//! `FREEHOLD_MEASURE=1 cargo test --release -p freehold-web --lib hostile -- --nocapture`.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement")]

#[path = "../../../node/mime/examples/hostile/shapes.rs"]
mod shapes;

use std::collections::HashMap;
use std::process::Command;

use freehold_mime::content;

use super::blocks::{Block, blocks};
use super::normalize::{HTML_READ_LEN_MAX, normalize};
use super::parsed::ParsedMessage;
use super::part_path;
use super::pictures::Pictures;
use super::sanitise;

/// The length of a message that is measured, and of others, in bytes.
const LEN: usize = 25 * 1024 * 1024;
const SHORT_LEN: usize = 64 * 1024;
/// The longest page of a short message with all its frames, in bytes: some shapes fill them.
const PAGE_LEN_MAX: usize = 64 * 1024 * 1024;
/// The variable that asks for the measurement.
const MEASURE: &str = "FREEHOLD_MEASURE";
const CPU_MS_MAX: u64 = 2_000;
const MEMORY_KIB_MAX: u64 = 128 * 1024;
/// The variable that names the shape to a process of its own.
const SHAPE: &str = "FREEHOLD_SHAPE";

/// A number of a line in `/proc/self/status`, in KiB.
fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The time of this thread on a processor, in nanoseconds.
fn time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// Makes the page of a message and the documents in its frames; the length of all.
fn page(message: &ParsedMessage) -> usize {
    let page = blocks(message);
    let mut len = page.attachments.iter().map(|file| file.name.len() + 100).sum();
    for block in &page.blocks {
        len += match block {
            Block::Text(runs) | Block::TextOnly(runs) => {
                runs.iter().map(|run| run.text.len() + run.href.len()).sum()
            }
            Block::Html { part, .. } => part_path::at(message, part, |message, id| {
                let html =
                    content::html_of(&message.bytes, &message.structure, id, HTML_READ_LEN_MAX);
                let normalized = normalize(&html, &Pictures::of(message, id))?;
                let part = |part: &usize| (format!("cid:{part}"), format!("/home/{part}"));
                let pictures: HashMap<_, _> = normalized.pictures.iter().map(part).collect();
                Some(sanitise::clean(&normalized, pictures).len())
            })
            .unwrap_or(0),
            Block::Picture { name, .. } => name.len(),
            Block::Begin(inner) => inner.subject.len(),
            Block::End => 0,
        };
    }
    len
}

#[test]
fn hostile_message_has_a_page_of_bounded_length() {
    if let Ok(wanted) = std::env::var(SHAPE) {
        let shape = shapes::SHAPES.into_iter().find(|(name, _)| *name == wanted);
        let (name, make) = shape.unwrap();
        return measure(name, make(LEN));
    }
    if std::env::var_os(MEASURE).is_some() {
        return shapes::SHAPES.iter().for_each(|(name, _)| measure_alone(name));
    }
    for (name, make) in shapes::SHAPES {
        assert!(page(&ParsedMessage::of(make(SHORT_LEN))) <= PAGE_LEN_MAX, "{name}");
    }
}

/// Prints the figures of one page.
fn measure(name: &str, message: Vec<u8>) {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let (before, start) = (status("VmRSS"), time());
    let len = page(&ParsedMessage::of(message));
    let cpu = (time() - start) / 1_000_000;
    let memory = status("VmHWM").saturating_sub(before);
    let mark = if cpu <= CPU_MS_MAX && memory <= MEMORY_KIB_MAX { "" } else { "OVER" };
    println!("{name:30} {cpu:6} ms {memory:8} KiB {len:9} bytes {mark}");
}

/// Measures one page in a process of its own, so that no other page's memory counts.
fn measure_alone(name: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["hostile_message_has", "--nocapture"]).env(SHAPE, name);
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{}", text.lines().find(|line| line.contains(" KiB ")).unwrap_or(name));
}
