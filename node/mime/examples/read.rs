//! Prints messages as this crate reads them, a JSON object to a line, so that other readers can be
//! compared: `cargo run -p freehold-mime --example read -- FILE...`
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for tests")]

use freehold_mime::{Kind, Structure, content, header, people, word};
use serde_json::json;

fn main() -> std::io::Result<()> {
    for path in std::env::args().skip(1) {
        let message = std::fs::read(&path)?;
        let structure = Structure::parse(&message);
        let fields = structure.header(&message, Structure::ROOT);
        let charset = content::main_charset(&structure);
        let charset = charset.as_deref();
        let leaves = structure.ids().filter(|id| structure.part(*id).kind == Kind::Leaf);
        let leaves: Vec<_> = leaves
            .map(|id| {
                let media = &structure.part(id).media;
                json!({
                    "type": format!("{}/{}", media.kind, media.subtype).to_ascii_lowercase(),
                    "name": content::file_name(&message, &structure, id),
                    "bytes": structure.decoded(&message, id).bytes.to_vec(),
                })
            })
            .collect();
        let people = |name: &str| -> Vec<String> {
            people::of(fields, name, charset).into_iter().map(|person| person.address).collect()
        };
        let subject = header::first(fields, "subject").unwrap_or_default();
        println!(
            "{}",
            json!({
                "file": path,
                "subject": word::decode(subject, charset),
                "from": people("from"),
                "to": people("to"),
                "leaves": leaves,
            })
        );
    }
    Ok(())
}
