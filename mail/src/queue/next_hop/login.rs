//! The login at a smarthost: AUTH with PLAIN (RFC 4616) or LOGIN (RFC 4954).

use data_encoding::BASE64;

use super::destination::Login;
use super::extensions::Extensions;
use super::reply::Reply;
use super::stream::NextHopStream;
use super::{Failure, hello};
use crate::queue::result::AttemptResult;

/// Logs in. Every failure is transient for the message: the owner can mend the login.
pub(super) async fn log_in(
    stream: &mut NextHopStream,
    extensions: &Extensions,
    login: &Login,
) -> Result<(), Failure> {
    let Login { user, password } = login;
    let mut reply = match (extensions.auth_plain, extensions.auth_login) {
        (true, _) => {
            let response = BASE64.encode(format!("\0{user}\0{password}").as_bytes());
            send(stream, &format!("AUTH PLAIN {response}\r\n")).await?
        }
        (false, true) => send(stream, "AUTH LOGIN\r\n").await?,
        (false, false) => return Err(refused("it offers neither AUTH PLAIN nor AUTH LOGIN")),
    };
    if !extensions.auth_plain {
        for answer in [user, password] {
            if reply.code != 334 {
                break;
            }
            reply = send(stream, &format!("{}\r\n", BASE64.encode(answer.as_bytes()))).await?;
        }
    }
    match reply.class() {
        2 => Ok(()),
        _ => Err(refused(&reply.line())),
    }
}

async fn send(stream: &mut NextHopStream, line: &str) -> Result<Reply, Failure> {
    hello::within(async { stream.command(line).await }).await
}

fn refused(reason: &str) -> Failure {
    let reply = format!("451 4.7.8 the smarthost refused the login: {reason}");
    // The other messages are not tried for a while: providers lock a login that fails often.
    Failure::Unanswered(AttemptResult::Deferred(reply))
}
