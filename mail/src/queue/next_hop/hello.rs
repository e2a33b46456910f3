//! The beginning of a connection to a next hop: greeting, EHLO or HELO, STARTTLS.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::extensions::Extensions;
use super::reply::Reply;
use super::stream::{NextHopStream, Socket};
use super::{Failure, failure, tls};
use crate::queue::result::AttemptResult;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// RFC 5321 4.5.3.2.1: the greeting. The other commands have the same time.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Connects to `server`, greets as `name`, and starts TLS if that is offered. When the handshake
/// fails, connects again without TLS (RFC 7435 3).
pub(super) async fn open(
    server: &str,
    name: &str,
) -> Result<(NextHopStream, Extensions), AttemptResult> {
    let (stream, extensions) = greeted(server, name).await?;
    if !extensions.start_tls {
        return Ok((stream, extensions));
    }
    match encrypted(server, name, stream).await {
        Ok(opened) => Ok(opened),
        Err(failure) => {
            let reason = AttemptResult::from(failure);
            tracing::info!(?reason, "TLS with a next hop failed; sending in the clear");
            Ok(greeted(server, name).await?)
        }
    }
}

/// Connects and greets by EHLO, or by HELO where EHLO is refused (RFC 5321 3.2, 4.1.4).
async fn greeted(server: &str, name: &str) -> Result<(NextHopStream, Extensions), Failure> {
    let mut stream = connect(server).await?;
    match hello(&mut stream, "EHLO", name).await {
        Ok(reply) => Ok((stream, Extensions::parse(reply.lines.iter().map(String::as_str)))),
        Err(Failure::Refused(AttemptResult::Refused(_))) => {
            if hello(&mut stream, "HELO", name).await.is_err() {
                // An old server may have closed the connection after the unknown command.
                stream = connect(server).await?;
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

/// Connects and reads the greeting.
async fn connect(server: &str) -> Result<NextHopStream, Failure> {
    let unreachable = |reason: String| {
        let reply = format!("451 4.4.1 the next hop is unreachable: {reason}");
        Failure::Broken(AttemptResult::Deferred(reply))
    };
    let socket = match timeout(CONNECT_TIMEOUT, TcpStream::connect(server)).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable("connecting timed out".to_owned())),
    };
    let _ = socket.set_nodelay(true);
    let mut stream = NextHopStream::new(Socket::Plain(socket));
    let greeting = within(stream.reply()).await?;
    expect(greeting, 2)?;
    Ok(stream)
}

/// STARTTLS (RFC 3207), and EHLO once more inside TLS.
async fn encrypted(
    server: &str,
    name: &str,
    mut stream: NextHopStream,
) -> Result<(NextHopStream, Extensions), Failure> {
    expect(within(stream.command("STARTTLS\r\n")).await?, 2)?;
    let socket = stream.into_plain().map_err(|error| broken(&error))?;
    let socket = within(tls::handshake(server, socket)).await?;
    let mut stream = NextHopStream::new(Socket::Tls(Box::new(socket)));
    let reply = hello(&mut stream, "EHLO", name).await?;
    Ok((stream, Extensions::parse(reply.lines.iter().map(String::as_str))))
}

/// The reply if its first digit is `class`, else what it means.
pub(super) fn expect(reply: Reply, class: u16) -> Result<Reply, Failure> {
    if reply.class() == class { Ok(reply) } else { Err(failure(&reply)) }
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> Result<T, Failure> {
    match timeout(HELLO_TIMEOUT, work).await {
        Ok(done) => done.map_err(|error| broken(&error)),
        Err(_) => Err(super::no_reply()),
    }
}

fn broken(error: &io::Error) -> Failure {
    super::broken(error)
}
