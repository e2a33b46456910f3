//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod identity;

pub(crate) use identity::*;

/// Your own place on the internet: blog, photos and mail on one small machine that is yours.
///
/// With no command it serves: it makes its data folder if there is none, opens its ports on this machine alone, prints where to
/// open it and a link that works once for setting it up. `freehold demo` shows three people's nodes talking to each other.
#[derive(Debug, Parser)]
#[command(name = "freehold", version, max_term_width = 100)]
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
    Init(Init),
    /// Make an invitation for one friend: an address they paste into their own node.
    Invite,
    /// Friends: accept an invitation, list them.
    Friend {
        #[command(subcommand)]
        command: FriendCommand,
    },
    /// Publish a Markdown file. A first line `# Title` becomes the title; without one it is a note.
    Post(Post),
    /// Add a photo.
    Photo(Photo),
    /// Passwords for mail programs: each is shown once and can be revoked by itself.
    AppPassword(AppPassword),
    /// Read every row and every blob, verify seals, hashes and signatures, and say what was found.
    Check,
    /// Say how a running node is doing.
    Status(Status),
    /// Print every setting with its default and what it means.
    Config,
    /// Your identity: the 24 words, made and used on your own computer.
    Identity {
        #[command(subcommand)]
        command: IdentityCommand,
    },
    /// Bring up three people's nodes on this machine, befriended and furnished, to look at.
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
    /// A claim file made by `freehold identity new`; without one the words are made here and printed once.
    #[arg(long, value_name = "FILE")]
    pub(crate) claim: Option<PathBuf>,
}

/// Friends.
#[derive(Debug, Subcommand)]
pub(crate) enum FriendCommand {
    /// Accept an invitation: paste the address a friend gave you.
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
    /// Do it all in a folder of its own, verify it from outside, kill a node, and end with exit code 0 if all held.
    #[arg(long)]
    pub(crate) check: bool,
    /// Write where everything is, for programs, to this file, passwords included.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}
