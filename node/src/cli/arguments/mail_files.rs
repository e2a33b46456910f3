//! Arguments of `export` and `import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Subcommands of `export`.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Write a Maildir for each mail folder, a file for each message (Maildir++).
    ///
    /// Flags are in the file names, keywords in `dovecot-keywords`, and the date of arrival is the
    /// time of each file. Dovecot, mutt and other programs read it. It is the exact form: an import
    /// into another node gives the same messages, byte for byte.
    #[command(after_help = "Examples:\n  freehold export maildir ~/mail-2026\n  \
    mutt -f ~/mail-2026                              read it\n  \
    freehold --data ~/other import maildir ~/mail-2026")]
    Maildir(Export),
    /// Write a file for each mail folder (mbox, in the form mboxrd).
    ///
    /// Folders inside a folder A are in A.sbd, as in Thunderbird. Flags and keywords are in the
    /// header fields Status, X-Status and X-Keywords.
    #[command(after_help = "Examples:\n  freehold export mbox ~/mail-2026\n  \
    mutt -f ~/mail-2026/INBOX                        read it")]
    Mbox(Export),
}

/// Arguments of `export maildir` and `export mbox`.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// A new or an empty folder. An interrupted export goes on with the same command.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// Subcommands of `import`.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Read a Maildir with its subfolders: Maildir++, nested folders, or an export of this program.
    ///
    /// Flags, keywords and dates are kept. A message that its folder has already is not imported
    /// again, so an interrupted import goes on with the same command.
    #[command(after_help = "Examples:\n  freehold import maildir ~/Maildir\n  \
    freehold import maildir --folder Old ~/mbsync    everything below the folder Old")]
    Maildir(Import),
    /// Read an mbox, or a folder with mboxes: of Thunderbird, mutt, Apple Mail, Google Takeout.
    ///
    /// Flags, keywords and dates are kept; the labels of Gmail become folders. A message that its
    /// folder has already is not imported again, so an interrupted import goes on with the same
    /// command.
    #[command(
        after_help = "Examples:\n  freehold import mbox \"Takeout/Mail/All mail Including Spam and Trash.mbox\"\n  \
    freehold import mbox ~/.thunderbird/x.default/Mail/\"Local Folders\"\n  \
    freehold import mbox --folder Lists/rust rust.mbox"
    )]
    Mbox {
        /// Read `>From ` as `From `, as in the form mboxrd. Without it that is done in exports of
        /// this program only, because in other forms `>From ` may be the sender's.
        #[arg(long)]
        mboxrd: bool,
        #[command(flatten)]
        import: Import,
    },
    /// Fetch the mail of an account at another provider, by IMAP. Nothing changes there.
    ///
    /// Flags, keywords and dates are kept; special folders become those of this node, and Gmail's
    /// labels become folders. A second import fetches only what is new, so an interrupted one goes
    /// on with the same command. Many providers ask for an app password instead of the usual one.
    #[command(
        after_help = "Examples:\n  freehold import imap imap.example.com --user ruth@example.com\n  \
        freehold import imap imap.gmail.com --user ruth@gmail.com --password-file ~/app-password\n  \
        freehold import imap imap.example.com --user ruth --folder INBOX --folder Lists"
    )]
    Imap(ImapImport),
}

/// Arguments of `import imap`.
#[derive(Args, Debug)]
pub(crate) struct ImapImport {
    /// The host name of the provider's IMAP server.
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// The user name of the account.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: String,
    /// A file with the password, or - for standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub(crate) password_file: PathBuf,
    /// Import only this folder of the account and those below it; may be given several times
    /// [default: all folders].
    #[arg(long, value_name = "NAME")]
    pub(crate) folder: Vec<String>,
    /// The port [default: 993, or 143 without TLS from the first byte].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Begin without TLS and start it by STARTTLS, before the login.
    #[arg(long)]
    pub(crate) starttls: bool,
    /// Use no TLS; only for a server on this machine.
    #[arg(long, conflicts_with = "starttls")]
    pub(crate) plain_for_loopback: bool,
    /// Import messages again that were imported before and deleted since.
    #[arg(long)]
    pub(crate) restore: bool,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `import maildir` and `import mbox`.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The file or folder. A running node reads it itself, so the node's user must be able to.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Store everything in this mail folder and below it [default: each folder by its own name].
    #[arg(long, value_name = "NAME")]
    pub(crate) folder: Option<String>,
    /// Import messages again that were imported before and deleted since.
    #[arg(long)]
    pub(crate) restore: bool,
}
