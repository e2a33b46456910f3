//! The arguments of the command line and their help texts.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use freehold_core::logins::AppScope;

mod identity;
mod mail_files;

pub(crate) use identity::*;
pub(crate) use mail_files::*;

use crate::control::AddressCommand;

/// Your own place on the internet: blog, photos and mail on one small machine that is yours.
///
/// Without a command it runs the node: it creates the data folder if there is none, listens on this
/// machine only, and prints the node's address and a one-time link for the set-up. `freehold demo`
/// runs three people's nodes that talk to each other.
#[derive(Debug, Parser)]
#[command(name = "freehold", version, max_term_width = 100)]
#[command(
    after_help = "Examples:\n  freehold                                         your own node, in the default folder\n  \
    freehold --data ~/node --set web.tls=true        in another folder, the pages by HTTPS\n  \
    freehold config > ~/node/freehold.toml           all settings, to be edited there\n  \
    freehold demo                                    three people's nodes, to try it out\n\n\
    Exit codes:\n  \
    0   success\n  \
    1   any other error\n  \
    64  wrong arguments\n  \
    65  a file or a value has wrong content, or data is damaged\n  \
    66  a file or folder does not exist\n  \
    69  not available: a port or the data folder is in use, or no node is running\n  \
    73  a file or folder can't be written, or the disk is full\n  \
    78  wrong configuration"
)]
pub(crate) struct Arguments {
    /// The data folder [default: ~/.local/share/freehold].
    #[arg(long, global = true, value_name = "DIR", env = "FREEHOLD_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// The configuration file [default: freehold.toml in the data folder].
    #[arg(long, global = true, value_name = "FILE", env = "FREEHOLD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Override one setting: section.key=value; `freehold config` lists all settings.
    #[arg(long, global = true, value_name = "SETTING")]
    pub(crate) set: Vec<String>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the node until Ctrl-C or SIGTERM (the default).
    Serve,
    /// Set a node up from the command line instead of the browser.
    #[command(
        after_help = "Examples:\n  freehold init --name \"Ruth Aldous\" --login ruth --password-file ~/password\n  freehold init --name \"Ruth Aldous\" --login ruth --domain ruth.example --password-file -"
    )]
    Init(Init),
    /// Make a new link for the set-up in a browser; it ends the one before.
    ///
    /// A node that runs as a service prints no link, because the system's log keeps what it prints.
    #[command(after_help = "Example:\n  freehold setup-link")]
    SetupLink,
    /// Make an invitation for one friend: an address to paste into their own node.
    ///
    /// It works once, within two weeks.
    #[command(after_help = "Example:\n  freehold invite")]
    Invite,
    /// Friends: accept an invitation, list them, send their mail.
    Friend {
        #[command(subcommand)]
        command: FriendCommand,
    },
    /// Publish a Markdown file.
    ///
    /// A first line `# Title` becomes the title; without one the post is a note.
    #[command(
        after_help = "Examples:\n  freehold post swifts.md\n  freehold post --draft swifts.md\n  echo \"The swifts are back.\" | freehold post -"
    )]
    Post(Post),
    /// Add a photo.
    #[command(
        after_help = "Example:\n  freehold photo boat.jpg --alt \"A boat on the mud at low water\" --caption \"Low water\""
    )]
    Photo(Photo),
    /// The smarthost: the server that takes your mail for other domains.
    Smarthost {
        #[command(subcommand)]
        command: SmarthostCommand,
    },
    /// Your further addresses: aliases, and masked ones that nobody guesses.
    Address {
        #[command(subcommand)]
        command: AddressCommand,
    },
    /// Your public OpenPGP key, which others find by your address (WKD).
    Wkd {
        #[command(subcommand)]
        command: WkdCommand,
    },
    /// The keys that sign your mail (DKIM): the DNS records to publish, and new keys.
    Dkim {
        #[command(subcommand)]
        command: DkimCommand,
    },
    /// The DNS records of your domain: show them, check them, write them.
    #[command(
        after_help = "Examples:\n  freehold dns                        each record, for the form of your provider\n  freehold dns --zone-file > zone\n  freehold dns check\n  freehold dns write --server ns.alice.example --key-file node.key"
    )]
    Dns(Dns),
    /// Messages that wait to be sent: list them, try them now, give them up.
    Queue {
        #[command(subcommand)]
        command: QueueCommand,
    },
    /// Make a password for a mail program; it is shown only once.
    ///
    /// Each password can be revoked separately, in the browser under Settings. A new one with the
    /// same name replaces the old one.
    #[command(
        after_help = "Examples:\n  freehold app-password phone\n  freehold app-password --scope send --expires 30 printer\n  PASSWORD=$(freehold app-password --bare curl)"
    )]
    AppPassword(AppPassword),
    /// Write all mail into files that other programs read.
    Export {
        #[command(subcommand)]
        command: ExportCommand,
    },
    /// Read mail from files that other programs wrote.
    Import {
        #[command(subcommand)]
        command: ImportCommand,
    },
    /// Read and verify all stored data: rows, blobs, seals, hashes and signatures.
    ///
    /// The check changes nothing and works on a running node too. The exit code is 0 if nothing is
    /// damaged, and 65 otherwise.
    #[command(after_help = "Example:\n  freehold check && echo undamaged")]
    Check,
    /// Show the state of a running node.
    #[command(after_help = "Examples:\n  freehold status\n  freehold status --json | jq .ports")]
    Status(Status),
    /// Print every setting with its default and its meaning.
    #[command(after_help = "Example:\n  freehold config > ~/.local/share/freehold/freehold.toml")]
    Config,
    /// Your identity and its 24 words, which are made and used on your own computer.
    Identity {
        #[command(subcommand)]
        command: IdentityCommand,
    },
    /// Run three people's nodes on this machine, as friends, with posts, photos and mail.
    ///
    /// The demo has its own folder (~/.local/share/freehold/demo, or --data). The next start
    /// continues from there; to delete the demo, delete that folder.
    #[command(
        after_help = "Examples:\n  freehold demo\n  freehold --data /tmp/demo demo --json /tmp/demo.json\n  freehold demo --check"
    )]
    Demo(Demo),
}

/// Arguments of `init`.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// Your name, as your friends know you.
    #[arg(long)]
    pub(crate) name: String,
    /// The part of your mail address before the @.
    #[arg(long)]
    pub(crate) login: String,
    /// Your domain [default: LOGIN.localhost, for this machine only].
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// A file with the password for the browser, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: PathBuf,
    /// A claim file made by `freehold identity new`. Without one the 24 words are made here and
    /// printed once.
    #[arg(long, value_name = "FILE")]
    pub(crate) claim: Option<PathBuf>,
}

/// Subcommands of `friend`.
#[derive(Debug, Subcommand)]
pub(crate) enum FriendCommand {
    /// Accept an invitation: the address that a friend gave you.
    #[command(after_help = "Example:\n  freehold friend add 'http://alice.localhost:7080/i#…'")]
    Add {
        /// The whole invitation address.
        invite: String,
    },
    /// List friends and their state.
    List,
    /// Send a friend's mail to the world by this node; their own may not reach port 25.
    #[command(
        after_help = "Examples:\n  freehold friend relay Ruth\n  freehold friend relay Ruth --off"
    )]
    Relay {
        /// The friend's name, or the id of the person.
        name: String,
        /// Send it no more.
        #[arg(long)]
        off: bool,
    },
}

/// Subcommands of `smarthost`.
#[derive(Debug, Subcommand)]
pub(crate) enum SmarthostCommand {
    /// Send mail for other domains by this server, and log in to it once as a test.
    #[command(
        after_help = "Example:\n  freehold smarthost set smtp.example.com --user ruth --password-file -"
    )]
    Set {
        /// The server, as host or host:port; without a port it is 465.
        server: String,
        /// The user name of the login there; a server on this machine may have none.
        #[arg(long, default_value = "")]
        user: String,
        /// A file with the password, or - for standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Send mail for other domains by the node of a friend, whose owner has allowed it with
    /// `freehold friend relay`.
    #[command(after_help = "Example:\n  freehold smarthost friend Bob")]
    Friend {
        /// The friend's name, or the id of the person.
        name: String,
    },
    /// Show the smarthost, and whether it takes the login.
    Show,
    /// Send by no smarthost and by no friend's node any more.
    Remove,
}

/// Subcommands of `wkd`.
#[derive(Debug, Subcommand)]
pub(crate) enum WkdCommand {
    /// Serve this key. A secret key is refused.
    #[command(
        after_help = "Examples:\n  freehold wkd set key.asc\n  gpg --export --armor ruth@example.org | freehold wkd set -"
    )]
    Set {
        /// A file with the public key, in armour or not, or - for standard input.
        file: PathBuf,
    },
    /// Say whether a key is served, and where.
    Show,
    /// Serve no key any more.
    Remove,
}

/// Subcommands of `dkim`.
#[derive(Debug, Subcommand)]
pub(crate) enum DkimCommand {
    /// Show the DNS records of the keys, and which of them DNS has.
    Show {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make new keys. They sign once their records are in DNS; the old ones sign until then.
    Rotate,
}

/// Options of `dns`.
#[derive(Debug, Args)]
pub(crate) struct Dns {
    /// A public address of the machine; without it, those of node.public_addresses or those that
    /// the machine knows.
    #[arg(long, global = true, value_name = "IP")]
    pub(crate) address: Vec<IpAddr>,
    /// Print a zone file (RFC 1035).
    #[arg(long)]
    pub(crate) zone_file: bool,
    /// Print as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Option<DnsCommand>,
}

/// Subcommands of `dns`.
#[derive(Debug, Subcommand)]
pub(crate) enum DnsCommand {
    /// Compare the records with those that DNS answers now.
    Check,
    /// Add the records to the zone by a dynamic update (RFC 2136), signed by a TSIG key.
    ///
    /// Records that say something else are named and stay, except the node's own keys. Nothing
    /// else in the zone is touched.
    Write(DnsWrite),
}

/// Options of `dns write`.
#[derive(Debug, Args)]
pub(crate) struct DnsWrite {
    /// The primary name server of the zone: a name or an address, with or without a port.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) server: String,
    /// The file of the key that may change the zone, as `tsig-keygen` or `keymgr -t` writes it; -
    /// is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: PathBuf,
    /// The zone, if it is not your domain itself.
    #[arg(long, value_name = "NAME")]
    pub(crate) zone: Option<String>,
    /// Replace records that say something else.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Show the changes and make none.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Subcommands of `queue`. An id may be cut to its first characters.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// List the messages that wait, those tried next first.
    List,
    /// Show one message: every recipient with the last answer.
    #[command(after_help = "Example:\n  freehold queue show 3f9a1c")]
    Show {
        /// The message's id, or its first characters.
        id: String,
    },
    /// Try a message now; all of them without an id.
    #[command(after_help = "Examples:\n  freehold queue retry\n  freehold queue retry 3f9a1c")]
    Retry {
        /// The message's id, or its first characters.
        id: Option<String>,
    },
    /// Give a message up: nobody gets it who has not got it yet. Its copy stays in Sent, marked.
    #[command(after_help = "Example:\n  freehold queue drop 3f9a1c")]
    Drop {
        /// The message's id, or its first characters.
        id: String,
    },
}

/// Arguments of `post`.
#[derive(Args, Debug)]
pub(crate) struct Post {
    /// The Markdown file, or - for standard input.
    pub(crate) file: PathBuf,
    /// Save it as a draft instead of publishing it.
    #[arg(long)]
    pub(crate) draft: bool,
}

/// Arguments of `photo`.
#[derive(Args, Debug)]
pub(crate) struct Photo {
    /// The picture: JPEG, PNG, WebP or GIF.
    pub(crate) file: PathBuf,
    /// A description of the picture, for people who can't see it.
    #[arg(long)]
    pub(crate) alt: String,
    /// A caption under the picture.
    #[arg(long, default_value = "")]
    pub(crate) caption: String,
}

/// Arguments of `app-password`.
#[derive(Args, Debug)]
pub(crate) struct AppPassword {
    /// The name of the password: "phone", "mutt on the desk".
    pub(crate) label: String,
    /// The use of the password: read (IMAP), send (SMTP submission) or both.
    #[arg(long, value_name = "SCOPE", default_value_t)]
    pub(crate) scope: AppScope,
    /// Let the password expire after so many days; without this it does not expire.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) expires: Option<u32>,
    /// Print only the password, for a script.
    #[arg(long)]
    pub(crate) bare: bool,
}

/// Arguments of `status`.
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// Print JSON. It contains no password: the node stores only hashes.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `demo`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Demo {
    /// Run the demo in a temporary folder, test it from outside, kill a node, and exit with 0 if
    /// every test passed.
    #[arg(long)]
    pub(crate) check: bool,
    /// Write addresses, ports and passwords of the nodes to this file, as JSON for programs.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
