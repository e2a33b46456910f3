//! The words of `freehold identity`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The identity.
#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// On the node: print its card, the public keys that a claim is made for.
    Card,
    /// On your own computer: make the 24 words, the recovery card and a claim file for a node.
    New(IdentityNew),
    /// On the node: take the claim file.
    Claim {
        /// The claim file.
        file: PathBuf,
    },
    /// On the node: say who it speaks for, and which nodes do.
    Show,
    /// On the node: write the identity log to a file; it holds no secret.
    Log {
        /// Where to write it, or - for standard output.
        #[arg(long, value_name = "FILE", default_value = "freehold-log.txt")]
        out: PathBuf,
    },
    /// On the node: ask for something that needs your words; writes a request to be signed.
    Request(IdentityRequest),
    /// On your own computer: look at a request and sign it with your 24 words.
    Sign(IdentitySign),
    /// On your own computer: replace your 24 words by new ones.
    ChangeWords(IdentityChangeWords),
    /// On the node: take what was signed, or the log as another of your nodes has it.
    Upload {
        /// The signed file, or the log.
        file: PathBuf,
    },
    /// On a copied data folder whose key file is lost: let your 24 words (from standard input) make
    /// it another.
    Unlock,
}

/// New words and a claim.
#[derive(Args, Debug)]
pub(crate) struct IdentityNew {
    /// The node's card, printed by `freehold identity card` and shown on its set-up page.
    #[arg(long, value_name = "CARD")]
    pub(crate) node: String,
    /// An address where your identity log can be had, for the recovery card: your domain, a
    /// friend's. At most three.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) at: Vec<String>,
    /// Where to write the claim file.
    #[arg(long, value_name = "FILE", default_value = "freehold-claim.txt")]
    pub(crate) out: PathBuf,
}

/// Asking for a signature.
#[derive(Args, Debug)]
pub(crate) struct IdentityRequest {
    #[command(subcommand)]
    pub(crate) wanted: WantedCommand,
    /// Where to write the request, or - for standard output.
    #[arg(long, global = true, value_name = "FILE", default_value = "freehold-request.txt")]
    pub(crate) out: PathBuf,
    /// Ask no node but this identity log: the file of `freehold identity log`, or what an address
    /// of the recovery card gave.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
}

/// What to ask for.
#[derive(Debug, Subcommand)]
pub(crate) enum WantedCommand {
    /// Let another node speak for you.
    AddNode {
        /// The other node's card.
        card: String,
    },
    /// Retire a node: what it said so far stays, what it says later counts for nothing.
    RetireNode {
        /// The node's key, or how it begins; `freehold identity show` lists them.
        node: String,
        /// Its key is in somebody else's hands.
        #[arg(long)]
        stolen: bool,
        /// Retire it though some of what it said will be void: this node does not hold it, or it
        /// has too many branches.
        #[arg(long)]
        accept_loss: bool,
    },
    /// Let a domain vouch for your name.
    Domain {
        /// The domain.
        #[arg(required_unless_present = "none")]
        domain: Option<String>,
        /// Let no domain vouch for it any more.
        #[arg(long, conflicts_with = "domain")]
        none: bool,
    },
}

/// Signing with the words.
#[derive(Args, Debug)]
pub(crate) struct IdentitySign {
    /// The request the node made.
    pub(crate) request: PathBuf,
    /// Where to write what is signed.
    #[arg(long, value_name = "FILE", default_value = "freehold-signed.txt")]
    pub(crate) out: PathBuf,
    /// Do not ask before the words.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// New words in place of the old ones.
#[derive(Args, Debug)]
pub(crate) struct IdentityChangeWords {
    /// The identity log, from `freehold identity log` on the node.
    pub(crate) log: PathBuf,
    /// An address where your identity log can be had, for the recovery card. At most three.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) at: Vec<String>,
    /// Where to write what is signed.
    #[arg(long, value_name = "FILE", default_value = "freehold-signed.txt")]
    pub(crate) out: PathBuf,
}
