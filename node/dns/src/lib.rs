//! The DNS of a node's domain: the records that it needs ([`Domain`]), as a zone file and one by
//! one; what the world answers to them ([`compare`]); and dynamic updates of a zone (RFC 2136,
//! signed by TSIG, RFC 8945).
//!
//! This crate knows neither nodes nor mail: the caller gives the names, the addresses and the keys.

mod compare;
mod exchange;
mod judge;
mod key_file;
mod record;
mod resolver;
mod update;
mod wire;
mod zone;
mod zone_file;

pub use compare::{Comparison, compare, stale_addresses};
pub use judge::State;
pub use key_file::{KeyFileError, TsigKey, parse_key_file};
pub use record::{Data, Kind, Record};
pub use resolver::{LookupError, Resolver};
pub use update::{Plan, UpdateError, ZoneServer};
pub use zone::{Domain, Ports, Wanted};
pub use zone_file::{panel_value, relative, zone_file};
