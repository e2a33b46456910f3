//! A connection to the server of the account: TLS, login, commands and their responses.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use freehold_core::mailbox::MESSAGE_LEN_MAX;
use freehold_core::node::{ImapSecurity, ImapSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_rustls::client::TlsStream;

use super::progress::Progress;
use super::reader::{Piece, Reader, Response, Text};
use crate::queue::next_hop::tls;

/// How long connecting and the handshake may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the server may be silent. A large folder may take a while to open.
const SILENCE_MAX: Duration = Duration::from_secs(3 * 60);
/// How much one read asks for, in bytes.
const READ_LEN: usize = 32 * 1024;
/// How much of a server's reply is shown, in characters.
const SHOWN_MAX: usize = 300;
/// The bytes of messages that are read and not stored yet. A longer message is alone.
const UNSTORED_LEN_MAX: u32 = 8 * 1024 * 1024;

/// Why a connection can't go on.
#[derive(Debug)]
pub(super) enum ClientError {
    /// It was lost, or can't be opened now: a new one may do better.
    Lost(String),
    /// The login is refused.
    Login(String),
    /// A new one would do no better.
    Fatal(String),
}

/// How a command ended (RFC 3501 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    No,
    Bad,
}

/// The text of a message, which counts as unstored until it is dropped.
#[derive(Debug)]
pub(super) struct HeldText {
    /// `None` if it is too long.
    pub(super) bytes: Option<Vec<u8>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl HeldText {
    /// A short text, which came within a response.
    pub(super) fn short(bytes: Vec<u8>) -> Self {
        Self { bytes: Some(bytes), _permit: None }
    }
}

/// A piece of the server's output.
#[derive(Debug)]
pub(super) enum Answer {
    /// A response with a message's text, if it has one.
    Untagged(Vec<u8>, Option<HeldText>),
    /// `+`: the rest of the command is awaited.
    Continue,
    /// The command ended.
    Done(Status, String),
}

/// The room for messages that are read and not stored yet. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(UNSTORED_LEN_MAX as usize)))
    }

    async fn take(&self, len: u64) -> Option<OwnedSemaphorePermit> {
        let len = u32::try_from(len).unwrap_or(u32::MAX).min(UNSTORED_LEN_MAX);
        // It is never closed.
        Arc::clone(&self.0).acquire_many_owned(len).await.ok()
    }
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection after the login.
pub(super) struct Client {
    io: Io,
    reader: Reader,
    room: Room,
    tag: u32,
    capabilities: Vec<String>,
    progress: Progress,
}

impl Client {
    /// Connects, starts TLS and logs in. `more_roots` is as in [`tls::verified`].
    pub(super) async fn open(
        source: &ImapSource,
        more_roots: &str,
        room: Room,
    ) -> Result<Self, ClientError> {
        let server = source.server();
        let unreachable =
            |cause: String| ClientError::Lost(format!("can't reach {server}: {cause}"));
        let socket = match timeout(CONNECT_TIMEOUT, TcpStream::connect(&server)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable("connecting timed out".to_owned())),
        };
        let io = match source.security {
            ImapSecurity::Tls => encrypted(&server, socket, more_roots).await?,
            ImapSecurity::StartTls | ImapSecurity::PlainOnLoopback => Io::Plain(socket),
        };
        let (reader, capabilities) = (Reader::default(), Vec::new());
        let progress = Progress::default();
        let mut client = Self { io, reader, room, tag: 0, capabilities, progress };
        let is_known = client.greeting().await?;
        if source.security == ImapSecurity::StartTls {
            // RFC 9051 7.1.4: an attacker may have sent PREAUTH, so that nothing is encrypted.
            if is_known {
                let cause = "the server says that no login is needed, before TLS";
                return Err(ClientError::Fatal(cause.to_owned()));
            }
            client = client.start_tls(&server, more_roots).await?;
        }
        if !is_known {
            client.log_in(source).await?;
        }
        client.ask_capabilities().await?;
        Ok(client)
    }

    /// True if the server has this capability, given in capitals.
    pub(super) fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known == capability)
    }

    /// Reads the greeting; true if no login is needed (RFC 3501 7.1.4).
    async fn greeting(&mut self) -> Result<bool, ClientError> {
        let line = match self.response().await? {
            Answer::Untagged(line, _) => line,
            _ => return Err(no_imap()),
        };
        let upper = line.to_ascii_uppercase();
        match upper.as_slice() {
            upper if upper.starts_with(b"* OK") => Ok(false),
            upper if upper.starts_with(b"* PREAUTH") => Ok(true),
            upper if upper.starts_with(b"* BYE") => {
                let text = shown(line.get(5..).unwrap_or_default());
                Err(ClientError::Lost(format!("the server takes no connection: {text}")))
            }
            _ => Err(no_imap()),
        }
    }

    /// STARTTLS (RFC 3501 6.2.1). Bytes behind its reply were not protected: a server sends none,
    /// and an attacker's must not count inside TLS.
    async fn start_tls(mut self, server: &str, more_roots: &str) -> Result<Self, ClientError> {
        self.ask_capabilities().await?;
        if !self.has("STARTTLS") {
            return Err(ClientError::Fatal(format!("{server} does not offer STARTTLS")));
        }
        self.send("STARTTLS").await?;
        match self.done().await? {
            (Status::Ok, _) => {}
            (_, text) => return Err(ClientError::Fatal(format!("STARTTLS is refused: {text}"))),
        }
        if self.reader.has_more() {
            let cause = "bytes came between STARTTLS and TLS; somebody may have inserted them";
            return Err(ClientError::Fatal(cause.to_owned()));
        }
        let io = match self.io {
            Io::Plain(socket) => encrypted(server, socket, more_roots).await?,
            tls @ Io::Tls(_) => tls,
        };
        Ok(Self { io, reader: Reader::default(), capabilities: Vec::new(), ..self })
    }

    async fn ask_capabilities(&mut self) -> Result<(), ClientError> {
        self.send("CAPABILITY").await?;
        loop {
            match self.answer().await? {
                Answer::Untagged(line, _) => {
                    let line = String::from_utf8_lossy(&line).to_ascii_uppercase();
                    if let Some(words) = line.strip_prefix("* CAPABILITY ") {
                        self.capabilities = words.split(' ').map(str::to_owned).collect();
                    }
                }
                Answer::Continue => {}
                Answer::Done(..) => return Ok(()),
            }
        }
    }

    /// AUTHENTICATE PLAIN (RFC 4616), which takes any characters, or else LOGIN with literals.
    async fn log_in(&mut self, source: &ImapSource) -> Result<(), ClientError> {
        if self.capabilities.is_empty() {
            self.ask_capabilities().await?;
        }
        let (user, password) = (source.user.as_bytes(), source.password.as_bytes());
        let (command, parts) = if self.has("AUTH=PLAIN") {
            let plain = [&b""[..], user, password].join(&0);
            ("AUTHENTICATE PLAIN".to_owned(), vec![BASE64.encode(&plain).into_bytes()])
        } else if self.has("LOGINDISABLED") {
            let cause = "the server takes no password on this connection";
            return Err(ClientError::Login(cause.to_owned()));
        } else {
            let second = format!(" {{{}}}", password.len());
            let parts = vec![[user, second.as_bytes()].concat(), password.to_vec()];
            (format!("LOGIN {{{}}}", user.len()), parts)
        };
        self.send(&command).await?;
        let mut parts = parts.into_iter();
        loop {
            match self.answer().await? {
                Answer::Untagged(..) => {}
                Answer::Continue => {
                    // After a refusal the server may ask once more: an empty line ends it.
                    let mut line = parts.next().unwrap_or_default();
                    line.extend_from_slice(b"\r\n");
                    self.write(&line).await?;
                }
                Answer::Done(Status::Ok, _) => return Ok(()),
                Answer::Done(_, text) => return Err(ClientError::Login(text)),
            }
        }
    }

    /// A message has come that was asked for.
    pub(super) fn progressed(&mut self) {
        self.progress = Progress::default();
    }

    /// Sends a command.
    pub(super) async fn send(&mut self, command: &str) -> Result<(), ClientError> {
        self.tag = self.tag.wrapping_add(1);
        self.progress = Progress::default();
        let line = format!("F{} {command}\r\n", self.tag);
        self.write(line.as_bytes()).await
    }

    /// Sends a command with a folder's name as the server spells it: quoted, or as a literal, which
    /// may have any bytes.
    pub(super) async fn send_named(
        &mut self,
        before: &str,
        name: &[u8],
        after: &str,
    ) -> Result<(), ClientError> {
        let is_plain = |byte| (b' '..=b'~').contains(&byte) && !b"\"\\".contains(&byte);
        let plain = std::str::from_utf8(name).ok().filter(|name| name.bytes().all(is_plain));
        if let Some(name) = plain {
            return self.send(&format!("{before} \"{name}\"{after}")).await;
        }
        self.send(&format!("{before} {{{}}}", name.len())).await?;
        loop {
            match self.answer().await? {
                Answer::Untagged(..) => {}
                Answer::Continue => break,
                Answer::Done(_, text) => return Err(ClientError::Lost(text)),
            }
        }
        self.write(&[name, after.as_bytes(), b"\r\n"].concat()).await
    }

    /// Reads up to the end of the command.
    pub(super) async fn done(&mut self) -> Result<(Status, String), ClientError> {
        loop {
            if let Answer::Done(status, text) = self.answer().await? {
                return Ok((status, text));
            }
        }
    }

    /// The next answer. A server that says BYE is gone (RFC 3501 7.1.5).
    pub(super) async fn answer(&mut self) -> Result<Answer, ClientError> {
        match self.response().await? {
            Answer::Untagged(line, _) if line.to_ascii_uppercase().starts_with(b"* BYE") => {
                let text = shown(line.get(5..).unwrap_or_default());
                Err(ClientError::Lost(format!("the server ended the connection: {text}")))
            }
            answer => Ok(answer),
        }
    }

    async fn response(&mut self) -> Result<Answer, ClientError> {
        let mut permit = None;
        loop {
            match self.reader.next() {
                Piece::Incomplete => self.fill().await?,
                Piece::Text(len) if len > MESSAGE_LEN_MAX => self.reader.skip(),
                Piece::Text(len) => {
                    permit = self.room.take(len).await;
                    self.reader.keep();
                }
                Piece::TooLong => {
                    let cause = "the server sent a response that is too long";
                    return Err(ClientError::Fatal(cause.to_owned()));
                }
                Piece::Response(response) => {
                    self.progress.responded(&response)?;
                    let Response { line, text } = response;
                    let text = text.map(|text| match text {
                        Text::Kept(bytes) => HeldText { bytes: Some(bytes), _permit: permit },
                        Text::Skipped => HeldText { bytes: None, _permit: None },
                    });
                    return self.read(line, text);
                }
            }
        }
    }

    fn read(&self, line: Vec<u8>, text: Option<HeldText>) -> Result<Answer, ClientError> {
        if line.starts_with(b"* ") {
            return Ok(Answer::Untagged(line, text));
        }
        if line.first() == Some(&b'+') {
            return Ok(Answer::Continue);
        }
        let tag = format!("F{} ", self.tag);
        let rest = line.strip_prefix(tag.as_bytes()).ok_or_else(no_imap)?;
        let word = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
        let status = match word.to_ascii_uppercase().as_slice() {
            b"OK" => Status::Ok,
            b"NO" => Status::No,
            b"BAD" => Status::Bad,
            _ => return Err(no_imap()),
        };
        Ok(Answer::Done(status, shown(rest.get(word.len()..).unwrap_or_default())))
    }

    async fn fill(&mut self) -> Result<(), ClientError> {
        let mut piece = Vec::with_capacity(READ_LEN);
        let read = async {
            match &mut self.io {
                Io::Plain(socket) => socket.read_buf(&mut piece).await,
                Io::Tls(stream) => stream.read_buf(&mut piece).await,
            }
        };
        let began = Instant::now();
        match timeout(SILENCE_MAX, read).await {
            Ok(Ok(0)) => Err(lost("it was closed")),
            Ok(Ok(len)) => {
                self.progress.received(len, began.elapsed())?;
                self.reader.push(&piece);
                Ok(())
            }
            Ok(Err(error)) => Err(lost(error)),
            Err(_) => Err(lost("the server is silent")),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let write = async {
            match &mut self.io {
                Io::Plain(socket) => socket.write_all(bytes).await,
                Io::Tls(stream) => {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                }
            }
        };
        match timeout(SILENCE_MAX, write).await {
            Ok(written) => written.map_err(lost),
            Err(_) => Err(lost("the server takes no more bytes")),
        }
    }
}

/// The handshake with a server that must prove its name.
async fn encrypted(server: &str, socket: TcpStream, more_roots: &str) -> Result<Io, ClientError> {
    match timeout(CONNECT_TIMEOUT, tls::verified(server, socket, more_roots)).await {
        Ok(Ok(stream)) => Ok(Io::Tls(Box::new(stream))),
        // A certificate that is wrong, or no TLS at all.
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            Err(ClientError::Fatal(format!("no verified TLS with {server}: {error}")))
        }
        Ok(Err(error)) => Err(ClientError::Lost(format!("no TLS with {server}: {error}"))),
        Err(_) => Err(ClientError::Lost(format!("no TLS with {server}: it timed out"))),
    }
}

pub(super) fn lost(cause: impl std::fmt::Display) -> ClientError {
    ClientError::Lost(format!("the connection broke: {cause}"))
}

fn no_imap() -> ClientError {
    ClientError::Fatal("the server does not speak IMAP".to_owned())
}

/// A server's text as it is shown: one line without control characters.
fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.trim().chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect()
}
