//! Writes a folder as an mbox in the form mboxrd: each line that begins with `From `, or with `>`
//! signs before it, gets a `>`, so that a reader can undo it exactly.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use freehold_core::mailbox::{Folder, Message};

use super::super::Result;
use super::{Export, cant_write, create_dir, with_suffix};
use crate::files::state_fields::{self, header_len};
use crate::files::{FROM_SENDER, date, line_ends};

/// Writes the folder to `dir/path`. A file of an earlier run is replaced.
pub(super) fn write(
    export: &mut Export<'_>,
    folder: &Folder,
    dir: &Path,
    path: &str,
) -> Result<()> {
    let path = dir.join(path);
    if let Some(parent) = path.parent() {
        create_dir(parent)?;
    }
    let temporary = with_suffix(&path, ".part");
    let failed = |error: io::Error| cant_write(&temporary, &error);
    let mut out = BufWriter::new(File::create(&temporary).map_err(failed)?);
    let (mut first, mut is_first) = (1, true);
    loop {
        let messages = export.messages(folder, first)?;
        let Some(last) = messages.last() else { break };
        first = last.uid.saturating_add(1);
        for message in &messages {
            if let Some(text) = export.text(folder, message)? {
                let base = state_fields::print_base(folder.uid_validity, &folder.keywords);
                let base = if is_first { base.as_str() } else { "" };
                write_message(&mut out, message, &text, base).map_err(failed)?;
                is_first = false;
                export.count(message)?;
            }
        }
    }
    out.flush().map_err(failed)?;
    std::fs::rename(&temporary, &path).map_err(|error| cant_write(&path, &error))
}

/// Writes a message between its From_ line and an empty line. `base` is a field of the first.
fn write_message(
    out: &mut impl Write,
    message: &Message,
    text: &[u8],
    base: &str,
) -> io::Result<()> {
    let text = line_ends::to_lf(text);
    let (header, rest) = text.split_at_checked(header_len(&text)).unwrap_or((&text, &[]));
    writeln!(out, "From {FROM_SENDER} {}", date::asctime(message.internal_date))?;
    write_quoted(out, header)?;
    if !header.is_empty() && !header.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    out.write_all(base.as_bytes())?;
    out.write_all(state_fields::print(&message.flags).as_bytes())?;
    write_quoted(out, rest)?;
    if !rest.is_empty() && !rest.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    out.write_all(b"\n")
}

fn write_quoted(out: &mut impl Write, text: &[u8]) -> io::Result<()> {
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let unquoted = line.iter().position(|byte| *byte != b'>').unwrap_or(line.len());
        if line.get(unquoted..).is_some_and(|line| line.starts_with(b"From ")) {
            out.write_all(b">")?;
        }
        out.write_all(line)?;
    }
    Ok(())
}
