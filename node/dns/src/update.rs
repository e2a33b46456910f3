//! Dynamic updates of a zone (RFC 2136), signed by a shared key (TSIG, RFC 8945).
//!
//! The name server is asked for the records that it has; missing ones are added. A record that
//! says something else is replaced only if it is the node's own (a DKIM key, the id of the MTA-STS
//! policy) or if the caller says so. All other records of the zone stay. One message holds the
//! whole change, so the server makes all of it or nothing (RFC 2136 3.4.2).

use std::net::SocketAddr;

use hickory_resolver::proto::op::{Message, OpCode, Query, ResponseCode, UpdateMessage};
use hickory_resolver::proto::rr::rdata::tsig::TsigError;
use hickory_resolver::proto::rr::{self, DNSClass, RecordType};

use crate::exchange::exchange;
use crate::judge::{State, judge, leads_here, of_same_use};
use crate::zone::is_within;
use crate::{Data, Domain, Kind, Record, TsigKey, wire};

/// The primary name server of a zone.
#[derive(Clone, Debug)]
pub struct ZoneServer {
    /// Its address.
    pub server: SocketAddr,
    /// The name of the zone, without the final dot.
    pub zone: String,
    /// The key that may change the zone.
    pub key: TsigKey,
}

/// The changes of a zone that are to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Records to add.
    pub add: Vec<Record>,
    /// Records to remove.
    pub remove: Vec<Record>,
    /// Wanted records in whose place the zone has others, which stay: with the reason why they do
    /// not do.
    pub conflicts: Vec<(Record, Vec<Data>, &'static str)>,
}

/// A zone was not read or not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The name server can't be reached.
    #[error("the name server {0} can't be reached: {1}")]
    Connection(SocketAddr, std::io::Error),
    /// The name server refused.
    #[error("{}", refusal(*.0))]
    Refused(ResponseCode),
    /// The answer is not signed by the key, or is no answer.
    #[error("the answer of the name server is not valid: {0}")]
    Answer(String),
    /// A name that DNS can't have.
    #[error("a record can't be written: {0}")]
    Record(String),
    /// A record that is not in the zone.
    #[error("{0} is not in the zone {1}; name the zone that it is in")]
    OtherZone(String, String),
}

fn refusal(code: ResponseCode) -> String {
    let why = match code {
        ResponseCode::NotAuth => {
            "it is not the primary server of this zone, or the key may not change it"
        }
        ResponseCode::BADSIG => "the key's secret is another",
        ResponseCode::BADKEY => "it does not know the key",
        ResponseCode::BADTIME => "the clocks are more than 5 minutes apart",
        ResponseCode::Refused => "the key may not change these records",
        ResponseCode::NotZone => "a record is not in this zone",
        ResponseCode::NotImp => "it takes no updates (RFC 2136)",
        ResponseCode::ServFail => "it could not write the zone",
        _ => "it gave no reason",
    };
    format!("the name server refused with {code}: {why}")
}

impl ZoneServer {
    /// Compares the zone with the records of the domain. With `replace`, the records of the domain
    /// take the place of those that say something else. `now_secs` is the time, in seconds since
    /// 1970, that the signatures name.
    ///
    /// # Errors
    /// Those of the connection, and the server's refusal.
    pub async fn plan(
        &self,
        domain: &Domain,
        replace: bool,
        now_secs: u64,
    ) -> Result<Plan, UpdateError> {
        let mut plan = Plan::default();
        for wanted in domain.records() {
            let record = wanted.record;
            if !is_within(&record.name, &self.zone) {
                return Err(UpdateError::OtherZone(record.name, self.zone.clone()));
            }
            let found = self.found(&record, now_secs).await?;
            match judge(domain, &record, &found) {
                State::Right => {}
                State::Different(_, reason) if !replace && !is_own(&record) => {
                    let found = in_the_way(domain, &record, &found);
                    plan.conflicts.push((record, found, reason));
                }
                State::Missing | State::Different(..) | State::Unanswered(_) => {
                    plan.replace(domain, record, &found);
                }
            }
        }
        Ok(plan)
    }

    /// The zone's records at the name of a wanted record that it would stand beside or replace.
    async fn found(&self, wanted: &Record, now_secs: u64) -> Result<Vec<Data>, UpdateError> {
        let kinds: &[Kind] = match wanted.data.kind() {
            // No other record may stand beside a CNAME (RFC 1034 3.6.2).
            Kind::Cname => &[Kind::Cname, Kind::A, Kind::Aaaa],
            Kind::A => &[Kind::A, Kind::Cname],
            Kind::Aaaa => &[Kind::Aaaa, Kind::Cname],
            Kind::Mx => &[Kind::Mx],
            Kind::Txt => &[Kind::Txt],
            Kind::Srv => &[Kind::Srv],
            Kind::Caa => &[Kind::Caa],
        };
        let mut found: Vec<Data> = Vec::new();
        for kind in kinds {
            for data in self.ask(&wanted.name, *kind, now_secs).await? {
                if !found.contains(&data) {
                    found.push(data);
                }
            }
        }
        Ok(found)
    }

    /// The records at exactly this name. A CNAME is not followed.
    async fn ask(&self, name: &str, kind: Kind, now_secs: u64) -> Result<Vec<Data>, UpdateError> {
        let asked = wire::name(name).map_err(record_error)?;
        let mut message = Message::query();
        message.metadata.recursion_desired = false;
        message.add_query(Query::query(asked.clone(), wire::record_type(kind)));
        let answer = self.signed_exchange(message, now_secs).await?;
        let here = answer.answers.iter().filter(|record| record.name == asked);
        let data = here.filter_map(|record| wire::from_wire(&record.data));
        Ok(data.filter(|data| data.kind() == kind).collect())
    }

    /// Makes the changes, all of them or none. Conflicts are left alone.
    ///
    /// # Errors
    /// Those of the connection, and the server's refusal.
    pub async fn apply(&self, plan: &Plan, now_secs: u64) -> Result<(), UpdateError> {
        if plan.add.is_empty() && plan.remove.is_empty() {
            return Ok(());
        }
        let message = plan.message(&self.zone)?;
        self.signed_exchange(message, now_secs).await.map(drop)
    }

    async fn signed_exchange(
        &self,
        mut message: Message,
        now_secs: u64,
    ) -> Result<Message, UpdateError> {
        let invalid = |error: &dyn std::fmt::Display| UpdateError::Answer(error.to_string());
        let verifier = message.finalize(&self.key.0, now_secs).map_err(record_error)?;
        let bytes = message.to_vec().map_err(record_error)?;
        let answer = exchange(self.server, &bytes)
            .await
            .map_err(|error| UpdateError::Connection(self.server, error))?;
        let parsed = Message::from_vec(&answer).map_err(|error| invalid(&error))?;
        if parsed.id != message.id {
            return Err(UpdateError::Answer("it answers another message".to_owned()));
        }
        // An answer of a server that does not know the key is not signed by it (RFC 8945 5.3.2).
        // Its refusal changes nothing, so it may be forged at no gain.
        match parsed.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => {}
            code => {
                let signature = parsed.signature();
                let error = signature.and_then(|signature| signature.data.error.as_ref());
                return Err(UpdateError::Refused(error.map_or(code, code_of)));
            }
        }
        let mut verifier = verifier.ok_or_else(|| invalid(&"the key signs nothing"))?;
        verifier.verify(&answer).map_err(|error| invalid(&error))?;
        Ok(parsed)
    }
}

impl Plan {
    /// Puts the record in the place of those found.
    fn replace(&mut self, domain: &Domain, wanted: Record, found: &[Data]) {
        for data in in_the_way(domain, &wanted, found) {
            let old = Record { name: wanted.name.clone(), ttl: 0, data };
            if !self.remove.contains(&old) {
                self.remove.push(old);
            }
        }
        self.add.push(wanted);
    }

    /// The update of the zone (RFC 2136 2).
    fn message(&self, zone: &str) -> Result<Message, UpdateError> {
        let mut query = Query::new();
        query.set_name(wire::name(zone).map_err(record_error)?);
        query.set_query_class(DNSClass::IN).set_query_type(RecordType::SOA);
        let mut message = Message::query();
        message.metadata.op_code = OpCode::Update;
        message.metadata.recursion_desired = false;
        message.add_zone(query);
        for record in &self.remove {
            // RFC 2136 2.5.4: one record is deleted by class NONE and TTL 0.
            let mut record: rr::Record = wire::to_wire(record).map_err(record_error)?;
            record.dns_class = DNSClass::NONE;
            record.ttl = 0;
            message.add_update(record);
        }
        for record in &self.add {
            message.add_update(wire::to_wire(record).map_err(record_error)?);
        }
        Ok(message)
    }
}

/// The records that must go for the wanted one to count: texts of another use, the other addresses
/// of the machine and other authorities stay.
fn in_the_way(domain: &Domain, wanted: &Record, found: &[Data]) -> Vec<Data> {
    match &wanted.data {
        Data::Caa { .. } => Vec::new(),
        Data::Txt { text } if !is_own(wanted) => {
            let same = of_same_use(text, found);
            same.into_iter().map(|text| Data::Txt { text }).collect()
        }
        Data::A { .. } | Data::Aaaa { .. } => {
            found.iter().filter(|found| !leads_here(domain, found)).cloned().collect()
        }
        data => found.iter().filter(|found| *found != data).cloned().collect(),
    }
}

/// True for records that only the node makes.
fn is_own(record: &Record) -> bool {
    record.name.contains("._domainkey.") || record.name.starts_with("_mta-sts.")
}

/// The extended code of a signature's error (RFC 8945 3).
fn code_of(error: &TsigError) -> ResponseCode {
    match error {
        TsigError::BadSig => ResponseCode::BADSIG,
        TsigError::BadKey => ResponseCode::BADKEY,
        TsigError::BadTime => ResponseCode::BADTIME,
        TsigError::BadTrunc | TsigError::Unknown(_) => ResponseCode::NotAuth,
    }
}

fn record_error(error: impl std::fmt::Display) -> UpdateError {
    UpdateError::Record(error.to_string())
}

#[cfg(test)]
mod tests;
