//! Records to and from those of hickory.

use hickory_resolver::proto::rr::rdata::{A, AAAA, CAA, CNAME, MX, SRV, TXT};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::proto::{ProtoError, rr};

use crate::record::STRING_LEN_MAX;
use crate::{Data, Kind, Record};

pub(crate) fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Cname => RecordType::CNAME,
        Kind::Mx => RecordType::MX,
        Kind::Txt => RecordType::TXT,
        Kind::Srv => RecordType::SRV,
        Kind::Caa => RecordType::CAA,
    }
}

/// A name in full, with or without the final dot. Underscores are allowed.
pub(crate) fn name(text: &str) -> Result<Name, ProtoError> {
    let mut name = Name::from_ascii(text)?;
    name.set_fqdn(true);
    Ok(name)
}

/// A name in small letters, without the final dot.
pub(crate) fn text(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// # Errors
/// A name that DNS can't have.
pub(crate) fn to_wire(record: &Record) -> Result<rr::Record, ProtoError> {
    Ok(rr::Record::from_rdata(name(&record.name)?, record.ttl, data_to_wire(&record.data)?))
}

fn data_to_wire(data: &Data) -> Result<RData, ProtoError> {
    Ok(match data {
        Data::A { address } => RData::A(A(*address)),
        Data::Aaaa { address } => RData::AAAA(AAAA(*address)),
        Data::Cname { target } => RData::CNAME(CNAME(name(target)?)),
        Data::Mx { preference, exchange } => RData::MX(MX::new(*preference, name(exchange)?)),
        Data::Txt { text } => {
            let strings = text.as_bytes().chunks(STRING_LEN_MAX).collect();
            RData::TXT(TXT::from_bytes(strings))
        }
        Data::Srv { priority, weight, port, target } => {
            RData::SRV(SRV::new(*priority, *weight, *port, name(target)?))
        }
        Data::Caa { tag, value } => {
            let mut caa = CAA::new_issue(false, None, Vec::new());
            caa.tag = tag.clone();
            caa.value = value.clone().into_bytes();
            RData::CAA(caa)
        }
    })
}

/// The data of a record; `None` for other types.
pub(crate) fn from_wire(data: &RData) -> Option<Data> {
    Some(match data {
        RData::A(address) => Data::A { address: address.0 },
        RData::AAAA(address) => Data::Aaaa { address: address.0 },
        RData::CNAME(target) => Data::Cname { target: text(&target.0) },
        RData::MX(mx) => Data::Mx { preference: mx.preference, exchange: text(&mx.exchange) },
        RData::TXT(strings) => {
            let text = String::from_utf8_lossy(&strings.txt_data.concat()).into_owned();
            Data::Txt { text }
        }
        RData::SRV(srv) => Data::Srv {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            target: text(&srv.target),
        },
        RData::CAA(caa) => Data::Caa {
            tag: caa.tag.to_ascii_lowercase(),
            value: String::from_utf8_lossy(&caa.value).into_owned(),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_survives_the_wire() {
        let host = "ruth.example".to_owned();
        let each = [
            Data::A { address: [192, 0, 2, 1].into() },
            Data::Aaaa { address: "2001:db8::1".parse().unwrap() },
            Data::Cname { target: host.clone() },
            Data::Mx { preference: 10, exchange: host.clone() },
            Data::Txt { text: "é".repeat(400) },
            Data::Srv { priority: 0, weight: 1, port: 993, target: host.clone() },
            Data::Srv { priority: 0, weight: 0, port: 0, target: String::new() },
            Data::Caa { tag: "issue".to_owned(), value: "authority.example; a=b".to_owned() },
        ];
        for data in each {
            let wire = data_to_wire(&data).unwrap();
            assert_eq!(record_type(data.kind()), wire.record_type());
            assert_eq!(from_wire(&wire), Some(data));
        }
    }
}
