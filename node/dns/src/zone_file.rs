//! Records as text: a zone file (RFC 1035 5) and, for the web panel of a provider, one by one.

use crate::{Data, Record};

/// The records as a file that name servers read, with names relative to `origin`.
pub fn zone_file(origin: &str, records: &[Record]) -> String {
    let mut out = format!("$ORIGIN {origin}.\n");
    for record in records {
        let (name, kind) = (relative(origin, &record.name), record.data.kind().name());
        out.push_str(&format!("{name:<28} {} IN {kind:<5} {}\n", record.ttl, record.data));
    }
    out
}

/// The name as panels and zone files want it: without the domain, `@` for the domain itself.
pub fn relative(origin: &str, name: &str) -> String {
    if name == origin {
        return "@".to_owned();
    }
    match name.strip_suffix(origin).and_then(|name| name.strip_suffix('.')) {
        Some(name) => name.to_owned(),
        None => format!("{name}."),
    }
}

/// The value as a panel's form wants it: text in one piece and without quotes. The priority, which
/// has a field of its own, comes apart.
pub fn panel_value(data: &Data) -> (Option<u16>, String) {
    match data {
        Data::Mx { preference, exchange } => (Some(*preference), exchange.clone()),
        Data::Srv { priority, weight, port, target } => {
            let target = if target.is_empty() { "." } else { target };
            (Some(*priority), format!("{weight} {port} {target}"))
        }
        Data::Txt { text } => (None, text.clone()),
        Data::Cname { target } => (None, target.clone()),
        Data::A { .. } | Data::Aaaa { .. } | Data::Caa { .. } => (None, data.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_relative_only_within_the_domain() {
        assert_eq!(relative("ruth.example", "ruth.example"), "@");
        assert_eq!(relative("ruth.example", "_dmarc.ruth.example"), "_dmarc");
        assert_eq!(relative("ruth.example", "notruth.example"), "notruth.example.");
    }
}
