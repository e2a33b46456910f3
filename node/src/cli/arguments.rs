//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod identity;

pub(crate) use identity::*;

/// Your own place on the internet: blog, photos and mail on one small machine that is yours.
///
/// With no command it serves: it makes its data folder if there is none, opens its ports on this
/// machine alone, prints where to open it and a link that works once for setting it up. `freehold
/// demo` shows three people's nodes talking to each other.
#[derive(Debug, Parser)]
#[command(name = "freehold", version, max_term_width = 100)]
#[command(
    after_help = "Examples:\n  freehold                                         your own node, in its usual folder\n  \
    freehold --data ~/house --set web.tls=true       in another folder, the pages by HTTPS\n  \
    freehold config > ~/house/freehold.toml          all settings, to be changed there\n  \
    freehold demo                                    three people's nodes, to look at\n\n\
    Exit codes: 64 wrong words, 65 wrong data, 66 no such file, 69 not to be had (a port, a folder in use), 73 can't be written, \
    78 wrong configuration."
)]
pub(crate) struct Arguments {
    /// The data folder [default: ~/.local/share/freehold].
    #[arg(long, global = true, value_name = "DIR", env = "FREEHOLD_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// The configuration file [default: freehold.toml in the data folder].
    #[arg(long, global = true, value_name = "FILE", env = "FREEHOLD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Override one setting: section.key=value; `freehold config` lists them all.
    #[arg(long, global = true, value_name = "SETTING")]
    pub(crate) set: Vec<String>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the node until Ctrl-C or SIGTERM (the default).
    Serve,
    /// Set a node up from the command line instead of the browser.
    #[command(
        after_help = "Examples:\n  freehold init --name \"Ruth Aldous\" --login ruth --password-file ~/password\n  freehold init --name \"Ruth Aldous\" --login ruth --domain ruth.example --password-file -"
    )]
    Init(Init),
    /// Make an invitation for one friend: an address they paste into their own node.
    ///
    /// It works once, within two weeks.
    #[command(after_help = "Example:\n  freehold invite")]
    Invite,
    /// Friends: accept an invitation, list them.
    Friend {
        #[command(subcommand)]
        command: FriendCommand,
    },
    /// Publish a Markdown file.
    ///
    /// A first line `# Title` becomes the title; without one it is a note.
    #[command(
        after_help = "Examples:\n  freehold post swifts.md\n  freehold post --draft swifts.md\n  echo \"The swifts are back.\" | freehold post -"
    )]
    Post(Post),
    /// Add a photo.
    #[command(
        after_help = "Example:\n  freehold photo boat.jpg --alt \"A boat on the mud at low water\" --caption \"Patience\""
    )]
    Photo(Photo),
    /// Make a password for a mail program; it is shown once.
    ///
    /// Each can be revoked by itself, in the browser under Settings; making another of the same
    /// name replaces it.
    #[command(
        after_help = "Examples:\n  freehold app-password phone\n  PASSWORD=$(freehold app-password --bare curl)"
    )]
    AppPassword(AppPassword),
    /// Read every row and every blob, verify seals, hashes and signatures, and say what was found.
    ///
    /// It changes nothing, works on a running node as well, and ends with 0 only if everything is
    /// whole.
    #[command(after_help = "Example:\n  freehold check && echo whole")]
    Check,
    /// Say how a running node is doing.
    #[command(after_help = "Examples:\n  freehold status\n  freehold status --json | jq .ports")]
    Status(Status),
    /// Print every setting with its default and what it means.
    #[command(after_help = "Example:\n  freehold config > ~/.local/share/freehold/freehold.toml")]
    Config,
    /// Your identity: the 24 words, made and used on your own computer.
    Identity {
        #[command(subcommand)]
        command: IdentityCommand,
    },
    /// Bring up three people's nodes on this machine, befriended and furnished, to look at.
    ///
    /// It is kept in a folder of its own (~/.local/share/freehold/demo, or what --data names) and
    /// goes on from there; to be rid of it, remove that folder.
    #[command(
        after_help = "Examples:\n  freehold demo\n  freehold --data /tmp/demo demo --json /tmp/demo.json\n  freehold demo --check"
    )]
    Demo(Demo),
}

/// Setting a node up.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// Your name, as your friends would say it.
    #[arg(long)]
    pub(crate) name: String,
    /// The part of your mail address before the @.
    #[arg(long)]
    pub(crate) login: String,
    /// Your domain [default: LOGIN.localhost, this machine alone].
    #[arg(long)]
    pub(crate) domain: Option<String>,
    /// A file with the password for the browser, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: PathBuf,
    /// A claim file made by `freehold identity new`; without one the words are made here and
    /// printed once.
    #[arg(long, value_name = "FILE")]
    pub(crate) claim: Option<PathBuf>,
}

/// Friends.
#[derive(Debug, Subcommand)]
pub(crate) enum FriendCommand {
    /// Accept an invitation: paste the address a friend gave you.
    #[command(after_help = "Example:\n  freehold friend add 'http://alice.localhost:7080/i#…'")]
    Add {
        /// The whole invitation address.
        invite: String,
    },
    /// List friends and where they stand.
    List,
}

/// A post.
#[derive(Args, Debug)]
pub(crate) struct Post {
    /// The Markdown file, or - for standard input.
    pub(crate) file: PathBuf,
    /// Keep it as a draft.
    #[arg(long)]
    pub(crate) draft: bool,
}

/// A photo.
#[derive(Args, Debug)]
pub(crate) struct Photo {
    /// The picture: JPEG, PNG, WebP or GIF.
    pub(crate) file: PathBuf,
    /// What can be seen, for those who can't see it.
    #[arg(long)]
    pub(crate) alt: String,
    /// A line under the picture.
    #[arg(long, default_value = "")]
    pub(crate) caption: String,
}

/// A password for a mail program.
#[derive(Args, Debug)]
pub(crate) struct AppPassword {
    /// What it is for: "phone", "mutt on the desk".
    pub(crate) label: String,
    /// Print the password alone, for a script.
    #[arg(long)]
    pub(crate) bare: bool,
}

/// How a running node is doing.
#[derive(Args, Debug)]
pub(crate) struct Status {
    /// As JSON, for programs. No password is in it: the node keeps only hashes of them.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The neighbourhood.
#[derive(Args, Clone, Debug)]
pub(crate) struct Demo {
    /// Do it all in a folder of its own, verify it from outside, kill a node, and end with exit
    /// code 0 if all held.
    #[arg(long)]
    pub(crate) check: bool,
    /// Write where everything is, for programs, to this file, passwords included.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
