//! Refusal while the node's data folder is being opened, which may take a minute after a power cut.
//!
//! Every client is asked to try again. Other servers keep a message for days (RFC 5321 4.5.4.1); a
//! mail program shows its copies and tries later.

use std::convert::Infallible;

use freehold_core::clock::Clock;
use freehold_listen::ConnectionLimiter;

use crate::state::{SMTP_LIMITS, acceptor};
use crate::{MailConfig, MailListeners};

/// Sent in place of the SMTP greeting (RFC 5321 3.8).
const SMTP_UNAVAILABLE: &[u8] = b"421 4.3.2 not open yet, try again in a minute\r\n";
/// Sent in place of the IMAP greeting (RFC 3501 7.1.5, RFC 5530).
const IMAP_UNAVAILABLE: &[u8] = b"* BYE [UNAVAILABLE] not open yet; try again in a minute\r\n";

/// Refuses every connection with a temporary error until the returned future is dropped. Where TLS
/// begins with the first byte, the connection is closed without a word: no key has been agreed on.
pub async fn refuse_during_startup(listeners: &MailListeners, config: &MailConfig) -> Infallible {
    let MailListeners { smtp, submission, smtps, imap, imaps } = listeners;
    let limiter = ConnectionLimiter::new(
        config.smtp_connections_max,
        config.smtp_connections_per_address_max,
        Clock::system(),
    );
    let refuse = |listener, refusal| {
        let acceptor = acceptor(config, limiter.clone(), SMTP_LIMITS, b"");
        freehold_listen::refuse_during_startup(listener, acceptor, refusal)
    };
    let (never, ..) = tokio::join!(
        refuse(smtp, SMTP_UNAVAILABLE),
        refuse(submission, SMTP_UNAVAILABLE),
        refuse(smtps, b""),
        refuse(imap, IMAP_UNAVAILABLE),
        refuse(imaps, b"")
    );
    never
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn startup_refusal_is_sent_on_every_plain_port() {
        let bind = || TcpListener::bind("127.0.0.1:0");
        let (smtp, submission, smtps) =
            (bind().await.unwrap(), bind().await.unwrap(), bind().await.unwrap());
        let (imap, imaps) = (bind().await.unwrap(), bind().await.unwrap());
        let listeners = MailListeners { smtp, submission, smtps, imap, imaps };
        let (addresses, config) = (listeners.addresses().unwrap(), MailConfig::default());
        let connecting = async {
            let mut received = Vec::new();
            for address in [
                addresses.smtp,
                addresses.submission,
                addresses.imap,
                addresses.smtps,
                addresses.imaps,
            ] {
                let mut text = String::new();
                TcpStream::connect(address).await.unwrap().read_to_string(&mut text).await.unwrap();
                received.push(text);
            }
            received
        };
        let received = tokio::select! {
            received = connecting => received,
            never = refuse_during_startup(&listeners, &config) => match never {},
        };
        assert!(received[0].starts_with("421 4.3.2 ") && received[0].ends_with("\r\n"));
        assert_eq!(received[1], received[0]);
        assert!(received[2].starts_with("* BYE [UNAVAILABLE] "), "{received:?}");
        assert_eq!(received[3..], ["", ""]);
        // The server uses the same sockets, so no client finds a closed port in between.
        assert_eq!(listeners.addresses().unwrap(), addresses);
    }
}
