//! Settings of the section that no node can work with.

use libp2p::Multiaddr;

use super::FederationConfig;

/// A node uses less than this alone, in bytes: below it, every connection would be refused.
const MEMORY_BYTES_MIN: usize = 64 << 20;

/// A setting that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FederationConfigError {
    /// An entry of `external`.
    #[error(
        "{address:?} is no multiaddr ({cause}); write one like \"/dns4/alice.example/tcp/7001\""
    )]
    External {
        /// The entry.
        address: String,
        /// The cause.
        cause: String,
    },
    /// `strangers_max` is 0.
    #[error("0 lets no new friend connect; a good value is 64")]
    NoStrangers,
    /// `memory_bytes_max` is less than the node itself needs.
    #[error(
        "{0} bytes are less than the node itself needs, so every connection would be refused; the \
         least is {MEMORY_BYTES_MIN}"
    )]
    Memory(usize),
}

impl FederationConfigError {
    /// The setting's name in the section.
    pub fn key(&self) -> &'static str {
        match self {
            Self::External { .. } => "external",
            Self::NoStrangers => "strangers_max",
            Self::Memory(_) => "memory_bytes_max",
        }
    }
}

impl FederationConfig {
    /// Checks that every setting has a value that friends' nodes work with.
    ///
    /// # Errors
    /// The first one that has not.
    pub fn check(&self) -> Result<(), FederationConfigError> {
        for address in &self.external {
            address.parse::<Multiaddr>().map_err(|error| FederationConfigError::External {
                address: address.clone(),
                cause: error.to_string(),
            })?;
        }
        if self.strangers_max == 0 {
            return Err(FederationConfigError::NoStrangers);
        }
        if self.memory_bytes_max < MEMORY_BYTES_MIN {
            return Err(FederationConfigError::Memory(self.memory_bytes_max));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_federation_settings_are_refused() {
        let good = FederationConfig::default;
        assert_eq!(good().check(), Ok(()));
        let external = |address: &str| vec![address.to_owned()];
        let known = FederationConfig { external: external("/dns4/a.example/tcp/7001"), ..good() };
        assert_eq!(known.check(), Ok(()));
        for (config, key) in [
            (FederationConfig { external: external("alice.example:7001"), ..good() }, "external"),
            (FederationConfig { strangers_max: 0, ..good() }, "strangers_max"),
            (FederationConfig { memory_bytes_max: 1 << 20, ..good() }, "memory_bytes_max"),
        ] {
            assert_eq!(config.check().unwrap_err().key(), key);
        }
    }
}
