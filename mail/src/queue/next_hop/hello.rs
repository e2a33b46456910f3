//! The beginning of a connection to a next hop: greeting, EHLO or HELO, TLS, login.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::destination::{Destination, Encryption};
use super::extensions::Extensions;
use super::login::log_in;
use super::reply::Reply;
use super::stream::{NextHopStream, Socket};
use super::{Failure, failure, tls};
use crate::queue::result::AttemptResult;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// RFC 5321 4.5.3.2.1: the greeting. The other commands have the same time.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Connects to `to`, greets as `name`, starts TLS, and logs in. Where TLS is opportunistic and the
/// handshake fails, connects again without TLS (RFC 7435 3).
pub(super) async fn open(
    to: &Destination,
    name: &str,
    more_roots: &str,
) -> Result<(NextHopStream, Extensions), Failure> {
    let (mut stream, extensions) = match to.encryption {
        Encryption::IfOffered => opportunistic(to, name).await?,
        Encryption::FromFirstByte => {
            let socket = connect(to).await?;
            let socket = verified(to, socket, more_roots).await?;
            greeted(to, name, Socket::Tls(Box::new(socket))).await?
        }
        Encryption::AfterStartTls => {
            let socket = Socket::Plain(connect(to).await?);
            let (stream, extensions) =
                greeted(to, name, socket).await.map_err(|failure| unproven(to, failure))?;
            if !extensions.start_tls {
                let (host, demand) = (to.shown(), to.demand());
                let reply = format!("451 4.7.4 {host} does not offer STARTTLS{demand}");
                return Err(Failure::Broken(AttemptResult::Deferred(reply)));
            }
            let socket = start_tls(stream).await.map_err(|failure| unproven(to, failure))?;
            encrypted(name, verified(to, socket, more_roots).await?).await?
        }
    };
    if let Some(login) = &to.login {
        log_in(&mut stream, &extensions, login).await?;
    }
    Ok((stream, extensions))
}

/// A refusal before the handshake: anybody on the way can have written it, so the message waits.
fn unproven(to: &Destination, failure: Failure) -> Failure {
    match failure {
        Failure::Refused(AttemptResult::Refused(reply)) => {
            let (host, demand) = (to.shown(), to.demand());
            Failure::Broken(AttemptResult::Deferred(format!(
                "451 4.7.5 {host} refused before verified TLS{demand}: {reply}"
            )))
        }
        failure => failure,
    }
}

/// The handshake with a next hop that must prove its name.
async fn verified(
    to: &Destination,
    socket: TcpStream,
    more_roots: &str,
) -> Result<TlsStream<TcpStream>, Failure> {
    let reason = match timeout(HELLO_TIMEOUT, tls::verified(&to.server, socket, more_roots)).await {
        Ok(Ok(socket)) => return Ok(socket),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the handshake timed out".to_owned(),
    };
    let (host, demand) = (to.shown(), to.demand());
    let reply = format!("451 4.7.5 no verified TLS with {host}{demand}: {reason}");
    Err(Failure::Broken(AttemptResult::Deferred(reply)))
}

async fn opportunistic(
    to: &Destination,
    name: &str,
) -> Result<(NextHopStream, Extensions), Failure> {
    let socket = Socket::Plain(connect(to).await?);
    let (stream, extensions) = greeted(to, name, socket).await?;
    if !extensions.start_tls {
        return Ok((stream, extensions));
    }
    let started = async {
        let socket = start_tls(stream).await?;
        let socket = within(tls::opportunistic(&to.server, socket)).await?;
        encrypted(name, socket).await
    };
    match started.await {
        Ok(opened) => Ok(opened),
        Err(failure) => {
            let reason = AttemptResult::from(failure);
            tracing::info!(?reason, "TLS with a next hop failed; sending in the clear");
            let socket = Socket::Plain(connect(to).await?);
            greeted(to, name, socket).await
        }
    }
}

/// Reads the greeting, and greets by EHLO, or by HELO where EHLO is refused (RFC 5321 3.2, 4.1.4).
async fn greeted(
    to: &Destination,
    name: &str,
    socket: Socket,
) -> Result<(NextHopStream, Extensions), Failure> {
    let is_plain = matches!(socket, Socket::Plain(_));
    let mut stream = greeting(socket).await?;
    match hello(&mut stream, "EHLO", name).await {
        Ok(reply) => Ok((stream, Extensions::parse(reply.lines.iter().map(String::as_str)))),
        Err(Failure::Refused(AttemptResult::Refused(_))) => {
            if hello(&mut stream, "HELO", name).await.is_err() && is_plain {
                // An old server may have closed the connection after the unknown command.
                stream = greeting(Socket::Plain(connect(to).await?)).await?;
                hello(&mut stream, "HELO", name).await?;
            }
            Ok((stream, Extensions::default()))
        }
        Err(failure) => Err(failure),
    }
}

async fn hello(stream: &mut NextHopStream, command: &str, name: &str) -> Result<Reply, Failure> {
    let reply = within(stream.command(&format!("{command} {name}\r\n"))).await?;
    expect(reply, 2)
}

/// Opens the connection.
async fn connect(to: &Destination) -> Result<TcpStream, Failure> {
    let unreachable = |reason: String| {
        let reply = format!("451 4.4.1 {} is unreachable: {reason}", to.server);
        Failure::Unanswered(AttemptResult::Deferred(reply))
    };
    let connecting = async {
        match to.address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect(&to.server).await,
        }
    };
    let socket = match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable("connecting timed out".to_owned())),
    };
    let _ = socket.set_nodelay(true);
    Ok(socket)
}

/// Reads the greeting.
async fn greeting(socket: Socket) -> Result<NextHopStream, Failure> {
    let mut stream = NextHopStream::new(socket);
    let greeting = match timeout(HELLO_TIMEOUT, stream.reply()).await {
        Ok(greeting) => greeting.map_err(|error| broken(&error))?,
        Err(_) => return Err(Failure::Unanswered(super::no_reply().into())),
    };
    expect(greeting, 2)?;
    Ok(stream)
}

/// STARTTLS (RFC 3207), up to the handshake.
async fn start_tls(mut stream: NextHopStream) -> Result<TcpStream, Failure> {
    expect(within(stream.command("STARTTLS\r\n")).await?, 2)?;
    stream.into_plain().map_err(|error| broken(&error))
}

/// EHLO once more inside TLS (RFC 3207 4.2).
async fn encrypted(
    name: &str,
    socket: TlsStream<TcpStream>,
) -> Result<(NextHopStream, Extensions), Failure> {
    let mut stream = NextHopStream::new(Socket::Tls(Box::new(socket)));
    let reply = hello(&mut stream, "EHLO", name).await?;
    Ok((stream, Extensions::parse(reply.lines.iter().map(String::as_str))))
}

/// The reply if its first digit is `class`, else what it means.
pub(super) fn expect(reply: Reply, class: u16) -> Result<Reply, Failure> {
    if reply.class() == class { Ok(reply) } else { Err(failure(&reply)) }
}

pub(super) async fn within<T>(work: impl Future<Output = io::Result<T>>) -> Result<T, Failure> {
    match timeout(HELLO_TIMEOUT, work).await {
        Ok(done) => done.map_err(|error| broken(&error)),
        Err(_) => Err(super::no_reply()),
    }
}

fn broken(error: &io::Error) -> Failure {
    super::broken(error)
}
