//! Whether a record that DNS has does what the wanted one does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{Data, Domain, Record};

/// What DNS says to a wanted record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// DNS has it, or another that does the same.
    Right,
    /// DNS has no such record.
    Missing,
    /// DNS has others in its place: their values, and the reason why they do not do.
    Different(Vec<Data>, &'static str),
    /// DNS did not answer: the cause.
    Unanswered(String),
}

/// Compares a wanted record with those of its name and kind; for a CNAME, with the CNAME and with
/// the addresses that the name leads to.
pub(crate) fn judge(domain: &Domain, wanted: &Record, found: &[Data]) -> State {
    let different = |reason| State::Different(found.to_vec(), reason);
    if found.is_empty() {
        return State::Missing;
    }
    match &wanted.data {
        Data::A { .. } | Data::Aaaa { .. } => {
            let is_there = found.contains(&wanted.data);
            match found.iter().all(|data| leads_here(domain, data)) {
                true if is_there => State::Right,
                true => State::Missing,
                false if is_there => different("another machine answers for this name too"),
                false => different("the name leads to another machine"),
            }
        }
        Data::Cname { .. } => {
            let is_right =
                found.contains(&wanted.data) || found.iter().all(|data| leads_here(domain, data));
            if is_right { State::Right } else { different("the name leads to another machine") }
        }
        Data::Mx { exchange, .. } => mail_server(exchange, found),
        Data::Srv { .. } => match found.iter().any(|data| is_same_service(&wanted.data, data)) {
            true => State::Right,
            false => different("it names another host or port"),
        },
        Data::Caa { value, .. } => match found.iter().any(|data| may_issue(data, value)) {
            true => State::Right,
            false => different("the authority of this node may not issue certificates"),
        },
        Data::Txt { text } => texts(domain, &wanted.name, text, found),
    }
}

/// True for an address of the machine.
pub(crate) fn leads_here(domain: &Domain, data: &Data) -> bool {
    let address = match data {
        Data::A { address } => IpAddr::from(*address),
        Data::Aaaa { address } => IpAddr::from(*address),
        _ => return false,
    };
    domain.addresses.contains(&address)
}

fn mail_server(host: &str, found: &[Data]) -> State {
    let servers: Vec<(u16, &str)> = found
        .iter()
        .filter_map(|data| match data {
            Data::Mx { preference, exchange } => Some((*preference, exchange.as_str())),
            _ => None,
        })
        .collect();
    let ours = servers.iter().filter(|(_, exchange)| exchange.eq_ignore_ascii_case(host));
    let Some(ours) = ours.map(|(preference, _)| *preference).min() else {
        return State::Different(found.to_vec(), "mail goes to another server");
    };
    match servers.iter().all(|(_, exchange)| exchange.eq_ignore_ascii_case(host)) {
        true => State::Right,
        false if servers.iter().any(|(preference, _)| *preference < ours) => {
            State::Different(found.to_vec(), "another server is tried first")
        }
        false => State::Different(found.to_vec(), "a part of the mail goes to another server"),
    }
}

fn is_same_service(wanted: &Data, found: &Data) -> bool {
    let of = |data: &Data| match data {
        Data::Srv { port, target, .. } => Some((*port, target.to_ascii_lowercase())),
        _ => None,
    };
    of(wanted) == of(found)
}

/// Parameters after the domain do not matter here (RFC 8659 4.2).
fn may_issue(data: &Data, authority: &str) -> bool {
    match data {
        Data::Caa { tag, value } => {
            let domain = value.split(';').next().unwrap_or_default().trim();
            tag == "issue" && domain.eq_ignore_ascii_case(authority)
        }
        _ => false,
    }
}

/// The texts of the same use: those that begin with the same `v=` tag.
pub(crate) fn of_same_use(wanted: &str, found: &[Data]) -> Vec<String> {
    let tag = version(wanted);
    let texts = found.iter().filter_map(|data| match data {
        Data::Txt { text } => Some(text.clone()),
        _ => None,
    });
    texts.filter(|text| version(text) == tag).collect()
}

/// The version tag in small letters, without white space: `v=spf1`.
fn version(text: &str) -> String {
    let first = text.split([';', ' ']).next().unwrap_or_default();
    // DKIM and DMARC allow white space about the equals sign (RFC 6376 3.2).
    let joined = match first.contains('=') {
        true => first.to_owned(),
        false => text.split(';').next().unwrap_or_default().replace(char::is_whitespace, ""),
    };
    joined.trim().to_ascii_lowercase()
}

fn texts(domain: &Domain, name: &str, wanted: &str, found: &[Data]) -> State {
    let same = of_same_use(wanted, found);
    let different = |reason| {
        State::Different(same.iter().cloned().map(|text| Data::Txt { text }).collect(), reason)
    };
    let [text] = same.as_slice() else {
        return match same.is_empty() {
            // A key's record may leave out its version (RFC 6376 3.6.1).
            true => missing_text(wanted, found),
            false => different("there are several, so none of them counts"),
        };
    };
    match version(wanted).as_str() {
        "v=spf1" => match spf_covers(domain, name, wanted, text) {
            true => State::Right,
            false => different("it does not name this machine"),
        },
        "v=dkim1" => match tag(text, "p") == tag(wanted, "p") {
            true => State::Right,
            false => different("it is another key"),
        },
        "v=stsv1" => match tag(text, "id") == tag(wanted, "id") {
            true => State::Right,
            false => different("its id is not that of the policy now"),
        },
        // The owner's own choice counts.
        _ => State::Right,
    }
}

fn missing_text(wanted: &str, found: &[Data]) -> State {
    if version(wanted) != "v=dkim1" {
        return State::Missing;
    }
    let is_key = |data: &&Data| matches!(data, Data::Txt { text } if tag(text, "p").is_some());
    match found.iter().find(is_key) {
        Some(Data::Txt { text }) if tag(text, "p") == tag(wanted, "p") => State::Right,
        Some(other) => State::Different(vec![other.clone()], "it is another key"),
        None => State::Missing,
    }
}

/// The value of a tag, without white space (RFC 6376 3.2).
fn tag(text: &str, name: &str) -> Option<String> {
    let mut tags = text.split(';').filter_map(|tag| tag.split_once('='));
    let (_, value) = tags.find(|(found, _)| found.trim().eq_ignore_ascii_case(name))?;
    Some(value.chars().filter(|c| !c.is_whitespace()).collect())
}

/// Whether the record `found` at `name` lets this machine and the other senders of `wanted` send.
/// The MX and the host's addresses are judged by their own records.
fn spf_covers(domain: &Domain, name: &str, wanted: &str, found: &str) -> bool {
    let terms: Vec<String> = found
        .split_whitespace()
        .skip(1)
        .map(|term| term.trim_start_matches('+').to_ascii_lowercase())
        .collect();
    let mut names_machine = vec![format!("mx:{}", domain.name), format!("a:{}", domain.host)];
    // Without a domain they are about that of the record (RFC 7208 5.3, 5.4).
    if name == domain.name {
        names_machine.push("mx".to_owned());
    }
    if name == domain.host {
        names_machine.push("a".to_owned());
    }
    let by_name = terms.iter().any(|term| names_machine.contains(term));
    let by_address = !domain.addresses.is_empty()
        && domain
            .addresses
            .iter()
            .all(|address| terms.iter().any(|term| mechanism_has(term, *address)));
    let others = wanted.split_whitespace().filter(|term| domain.senders.iter().any(|s| s == term));
    let mut others = others.map(str::to_ascii_lowercase);
    (by_name || by_address) && others.all(|sender| terms.contains(&sender))
}

/// Whether an `ip4` or `ip6` mechanism contains the address (RFC 7208 5.6).
fn mechanism_has(term: &str, address: IpAddr) -> bool {
    let Some((kind, network)) = term.split_once(':') else { return false };
    let (base, len) = match network.split_once('/') {
        Some((base, len)) => (base, len.parse::<u32>().ok()),
        None => (network, Some(if kind == "ip4" { 32 } else { 128 })),
    };
    match (kind, address, len) {
        ("ip4", IpAddr::V4(address), Some(len @ ..=32)) => {
            let Ok(base) = base.parse::<Ipv4Addr>() else { return false };
            let mask = u32::MAX.checked_shl(32 - len).unwrap_or(0);
            base.to_bits() & mask == address.to_bits() & mask
        }
        ("ip6", IpAddr::V6(address), Some(len @ ..=128)) => {
            let Ok(base) = base.parse::<Ipv6Addr>() else { return false };
            let mask = u128::MAX.checked_shl(128 - len).unwrap_or(0);
            base.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
