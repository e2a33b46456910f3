//! Short requests of strangers by their network, which outlive a connection: one network cannot use
//! up the rate that all strangers share, however often its machines connect again.

use std::collections::HashMap;

use freehold_core::clock::Timestamp;
use freehold_core::logins::ClientNet;

use crate::limits::{NET_REQUESTS_BURST, NET_REQUESTS_PER_SECOND};
use crate::rate::TokenBucket;

/// Networks that are counted; beyond that, those with a full rate are forgotten.
const NETS_MAX: usize = 4096;

/// The rate of each network.
#[derive(Default)]
pub(super) struct NetRates(HashMap<ClientNet, TokenBucket>);

impl NetRates {
    /// Takes short requests from the rate of a network.
    pub(super) fn take(&mut self, net: ClientNet, count: usize, now: Timestamp) -> bool {
        let block = net.block();
        if self.0.len() >= NETS_MAX && !self.0.contains_key(&block) {
            let burst = usize::try_from(NET_REQUESTS_BURST).unwrap_or(usize::MAX);
            self.0.retain(|_, rate| !rate.clone().take(burst, now));
        }
        // Still full: thousands of networks at once are an attack, and the rate of all strangers
        // bounds it.
        if self.0.len() >= NETS_MAX && !self.0.contains_key(&block) {
            return true;
        }
        let full = || TokenBucket::per_second(NET_REQUESTS_PER_SECOND, NET_REQUESTS_BURST, now);
        self.0.entry(block).or_insert_with(full).take(count, now)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn net(address: &str) -> ClientNet {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn networks_have_separate_request_rates() {
        let (mut rates, now) = (NetRates::default(), Timestamp(0));
        let taken = |rates: &mut NetRates, address| {
            (0..1000).filter(|_| rates.take(net(address), 1, now)).count()
        };
        assert_eq!(taken(&mut rates, "2001:db8:1:1::1"), 60);
        assert_eq!(taken(&mut rates, "2001:db8:1:2::1"), 0, "another /64 of the same /48");
        assert_eq!(taken(&mut rates, "192.0.2.1"), 60);
        assert_eq!(taken(&mut rates, "192.0.2.200"), 0, "another address of the same /24");
    }

    #[test]
    fn flood_of_networks_keeps_the_rates_bounded() {
        let mut rates = NetRates::default();
        for number in 0..20_000u32 {
            let address = IpAddr::from((number << 8).to_be_bytes());
            assert!(rates.take(address.into(), 1, Timestamp(u64::from(number))));
        }
        assert!(rates.0.len() <= NETS_MAX);
    }
}
