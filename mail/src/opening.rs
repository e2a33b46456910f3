//! The time before a node's rows can be read: after a power cut they are made anew first, which may
//! take a minute.
//!
//! Whoever comes meanwhile is told to come again. Other servers keep a message for days (RFC 5321
//! 4.5.4.1); a program shows what it has and asks later.

use std::convert::Infallible;

use freehold_core::crowd::Crowd;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::house::{ACCEPT_PAUSE, turn_away};
use crate::stream::is_loopback;
use crate::{MailConfig, MailListeners};

/// What stands in place of SMTP's greeting (RFC 5321 3.8).
const SMTP_LATER: &[u8] = b"421 4.3.2 not open yet, try again in a minute\r\n";
/// What stands in place of IMAP's greeting (RFC 3501 7.1.5, RFC 5530).
const IMAP_LATER: &[u8] = b"* BYE [UNAVAILABLE] not open yet; try again in a minute\r\n";

/// Turns everybody away politely, until it is dropped. Where TLS begins with the first byte there
/// is nothing that could be said.
pub async fn turn_everybody_away(listeners: &MailListeners, config: &MailConfig) -> Infallible {
    let MailListeners { smtp, submission, smtps, imap, imaps } = listeners;
    let crowd = Crowd::new(config.smtp_connections_max, config.smtp_connections_per_address_max);
    let at = |listener, said| turn_away_from(listener, &crowd, said);
    let (never, ..) = tokio::join!(
        at(smtp, SMTP_LATER),
        at(submission, SMTP_LATER),
        at(smtps, b""),
        at(imap, IMAP_LATER),
        at(imaps, b"")
    );
    never
}

async fn turn_away_from(listener: &TcpListener, crowd: &Crowd, said: &'static [u8]) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                // A crowd is not even told.
                let Some(place) = crowd.admit(peer.ip(), is_loopback(peer.ip())) else { continue };
                tokio::spawn(async move {
                    turn_away(socket, said).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken in");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn every_port_says_to_come_again_and_closes() {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let (smtp, submission, smtps) =
            (bind().await.unwrap(), bind().await.unwrap(), bind().await.unwrap());
        let (imap, imaps) = (bind().await.unwrap(), bind().await.unwrap());
        let listeners = MailListeners { smtp, submission, smtps, imap, imaps };
        let (addresses, config) = (listeners.addresses().unwrap(), MailConfig::default());
        let heard = async {
            let mut heard = Vec::new();
            for address in [
                addresses.smtp,
                addresses.submission,
                addresses.imap,
                addresses.smtps,
                addresses.imaps,
            ] {
                let mut said = String::new();
                TcpStream::connect(address).await.unwrap().read_to_string(&mut said).await.unwrap();
                heard.push(said);
            }
            heard
        };
        let heard = tokio::select! {
            heard = heard => heard,
            never = turn_everybody_away(&listeners, &config) => match never {},
        };
        assert!(heard[0].starts_with("421 4.3.2 ") && heard[0].ends_with("\r\n"), "{heard:?}");
        assert_eq!(heard[1], heard[0]);
        assert!(heard[2].starts_with("* BYE [UNAVAILABLE] "), "{heard:?}");
        assert_eq!(heard[3..], ["", ""]);
        // The sockets are the same that will be served: nobody finds a closed port in between.
        assert_eq!(listeners.addresses().unwrap(), addresses);
    }
}
