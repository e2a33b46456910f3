//! The arguments of `freehold identity` and their help texts.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Subcommands of `identity`.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// On the node: print its card, the public keys that a claim file is made for.
    Card,
    /// On your own computer: make the 24 words, the recovery card and a claim file for a node.
    New(IdentityNew),
    /// On the node: read the claim file and become that person's node.
    Claim {
        /// The claim file.
        file: PathBuf,
    },
    /// On the node: show its person and the nodes that may publish for them.
    Show,
    /// On the node: write the identity log to a file; it contains no secret.
    Log {
        /// The file to write, or - for standard output.
        #[arg(long, value_name = "FILE", default_value = "freehold-log.txt")]
        out: PathBuf,
    },
    /// On the node: write a request for a change that must be signed with your 24 words.
    Request(IdentityRequest),
    /// On your own computer: show a request and sign it with your 24 words.
    Sign(IdentitySign),
    /// On your own computer: replace your 24 words by new ones.
    ChangeWords(IdentityChangeWords),
    /// On the node: read a signed file, or the identity log of another of your nodes.
    Upload {
        /// The signed file, or the log.
        file: PathBuf,
    },
    /// On a copied data folder whose key file is lost: make a new key file with your 24 words, read
    /// from standard input.
    Unlock,
}

/// Arguments of `identity new`.
#[derive(Args, Debug)]
pub(crate) struct IdentityNew {
    /// The node's card, printed by `freehold identity card` and shown on its set-up page.
    #[arg(long, value_name = "CARD")]
    pub(crate) node: String,
    /// An address of your identity log, for the recovery card: at your domain or a friend's. At
    /// most three.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) at: Vec<String>,
    /// The claim file to write.
    #[arg(long, value_name = "FILE", default_value = "freehold-claim.txt")]
    pub(crate) out: PathBuf,
}

/// Arguments of `identity request`.
#[derive(Args, Debug)]
pub(crate) struct IdentityRequest {
    #[command(subcommand)]
    pub(crate) wanted: WantedCommand,
    /// The request file to write, or - for standard output.
    #[arg(long, global = true, value_name = "FILE", default_value = "freehold-request.txt")]
    pub(crate) out: PathBuf,
    /// Use this identity log instead of the node's: the file of `freehold identity log`, or a
    /// download from an address of the recovery card.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
}

/// The changes that can be requested.
#[derive(Debug, Subcommand)]
pub(crate) enum WantedCommand {
    /// Let another node publish for you.
    AddNode {
        /// The other node's card.
        card: String,
    },
    /// Retire a node: its entries so far stay valid, later ones do not.
    RetireNode {
        /// The node's key, or its first digits; `freehold identity show` lists the keys.
        node: String,
        /// Somebody else has its key.
        #[arg(long)]
        stolen: bool,
        /// Retire it even if some of its entries become void: this node does not hold them, or they
        /// have too many branches.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Let a domain vouch for your name.
    Domain {
        /// The domain.
        #[arg(required_unless_present = "none")]
        domain: Option<String>,
        /// Let no domain vouch for your name.
        #[arg(long, conflicts_with = "domain")]
        none: bool,
    },
}

/// Arguments of `identity sign`.
#[derive(Args, Debug)]
pub(crate) struct IdentitySign {
    /// The request file from the node.
    pub(crate) request: PathBuf,
    /// The signed file to write.
    #[arg(long, value_name = "FILE", default_value = "freehold-signed.txt")]
    pub(crate) out: PathBuf,
    /// Do not ask for a confirmation before the words.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Arguments of `identity change-words`.
#[derive(Args, Debug)]
pub(crate) struct IdentityChangeWords {
    /// The identity log, from `freehold identity log` on the node.
    pub(crate) log: PathBuf,
    /// An address of your identity log, for the recovery card. At most three.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) at: Vec<String>,
    /// The signed file to write.
    #[arg(long, value_name = "FILE", default_value = "freehold-signed.txt")]
    pub(crate) out: PathBuf,
}
