//! Carrying one message to one next hop, command by command, so that every recipient has a result
//! of their own (RFC 5321 3.3, 4.2).
//!
//! lettre is the connection; the conversation, its times and what its replies mean are ours. TLS is
//! used wherever the next hop offers it, whoever its certificate names (RFC 7435): without it the
//! message would go in the clear.

use std::time::Duration;

use freehold_core::blobs::BlobReader;
use freehold_core::mailbox::Outgoing;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::attempt::Fate;
use super::wire::{Scissors, Wire};
use crate::house::House;
use crate::smtp::address::Mailbox;

mod offers;
mod text;

use offers::Offers;
use text::Text;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// RFC 5321 4.5.3.2.1 to 4.5.3.2.3: the greeting, MAIL and RCPT.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// RFC 5321 4.5.3.2.4.
const DATA_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// RFC 5321 4.5.3.2.6, for the reply to the whole message; the text itself has the slowest line one
/// would still wait for.
const END_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// The slowest line worth waiting for, in bytes a second.
const SLOWEST: u64 = 2 * 1024;
/// How long a goodbye may take.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many recipients one transaction has: what every server must take (RFC 5321 4.5.3.1.8).
const RECIPIENTS_MAX: usize = 100;

/// Sends `item` to `addresses` by way of `hop` and says what became of each.
pub(super) async fn send(
    house: &House,
    hop: &str,
    item: &Outgoing,
    addresses: Vec<String>,
) -> Vec<(String, Fate)> {
    let mut fates = Vec::with_capacity(addresses.len());
    let failed = match Connection::open(house, hop).await {
        Ok(mut connection) => {
            connection.transactions(house, item, &addresses, &mut fates).await.err()
        }
        Err(fate) => Some(fate),
    };
    if let Some(fate) = failed {
        // Whoever has no answer of their own shares this one.
        let open: Vec<String> = addresses
            .into_iter()
            .filter(|address| !fates.iter().any(|(done, _)| done == address))
            .collect();
        fates.extend(open.into_iter().map(|address| (address, fate.clone())));
    }
    fates
}

/// Why a command did not do what it should.
enum Failure {
    /// The next hop said no; the conversation can go on.
    No(Fate),
    /// Nobody knows what will be answered next: the conversation is over.
    Broken(Fate),
}

impl From<Failure> for Fate {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::No(fate) | Failure::Broken(fate) => fate,
        }
    }
}

struct Connection {
    smtp: AsyncSmtpConnection,
    scissors: Scissors,
    offers: Offers,
}

impl Connection {
    /// Connects, greets, and encrypts if that is offered; when the handshake fails, connects again
    /// without (RFC 7435 3).
    async fn open(house: &House, hop: &str) -> Result<Self, Fate> {
        let hello = ClientId::Domain(house.hostname());
        let (mut smtp, mut scissors) = greet(hop, &hello).await?;
        if smtp.can_starttls() {
            let name = hop.rsplit_once(':').map_or(hop, |(host, _)| host).trim_matches(['[', ']']);
            let parameters = TlsParameters::builder(name.to_owned())
                .dangerous_accept_invalid_certs(true)
                .dangerous_accept_invalid_hostnames(true)
                .build()
                .map_err(|error| failure(&error))?;
            if within(COMMAND_TIMEOUT, smtp.starttls(parameters, &hello)).await.is_err() {
                tracing::info!("encrypting the connection to a next hop failed, sending without");
                (smtp, scissors) = greet(hop, &hello).await?;
            }
        }
        // lettre keeps only some of what the server offers, so we ask once more ourselves.
        let offered = within(COMMAND_TIMEOUT, smtp.command(format!("EHLO {hello}\r\n"))).await?;
        Ok(Self { smtp, scissors, offers: Offers::read(offered.message()) })
    }

    /// Sends the message to all, as many at a time as every server must take, and says goodbye.
    async fn transactions(
        &mut self,
        house: &House,
        item: &Outgoing,
        to: &[String],
        fates: &mut Vec<(String, Fate)>,
    ) -> Result<(), Fate> {
        for some in to.chunks(RECIPIENTS_MAX) {
            self.transaction(house, item, some, fates).await?;
        }
        // The message is where it belongs; how the goodbye goes changes nothing.
        let _ = timeout(QUIT_TIMEOUT, self.smtp.quit()).await;
        Ok(())
    }

    /// One transaction (RFC 5321 3.3). An error is the fate of everyone without an answer of their
    /// own.
    async fn transaction(
        &mut self,
        house: &House,
        item: &Outgoing,
        to: &[String],
        fates: &mut Vec<(String, Fate)>,
    ) -> Result<(), Fate> {
        let text = Text::open(house.node.blobs.open(&item.blob)?)?;
        let mail = self.mail(item, to, &text)?;
        within(COMMAND_TIMEOUT, self.smtp.command(mail)).await?;
        let mut accepted = Vec::new();
        for address in to {
            // Addresses were read by us before they came here; one that can't be read again must
            // not become a command.
            let Some(mailbox) = Mailbox::parse(address) else {
                fates.push((
                    address.clone(),
                    Fate::Refused("501 5.1.3 that is not an address".to_owned()),
                ));
                continue;
            };
            match within(COMMAND_TIMEOUT, self.smtp.command(format!("RCPT TO:<{mailbox}>\r\n")))
                .await
            {
                Ok(_) => accepted.push(address),
                Err(Failure::No(fate)) => fates.push((address.clone(), fate)),
                Err(Failure::Broken(fate)) => return Err(fate),
            }
        }
        if accepted.is_empty() {
            within(COMMAND_TIMEOUT, self.smtp.command("RSET\r\n")).await?;
            return Ok(());
        }
        within(DATA_TIMEOUT, self.smtp.command("DATA\r\n")).await?;
        let wait = END_TIMEOUT + Duration::from_secs(item.size / SLOWEST);
        let reply = within(wait, self.smtp.message_iter(text.pieces(&self.scissors))).await?;
        let reply = said(&reply);
        fates.extend(
            accepted.into_iter().map(|address| (address.clone(), Fate::Delivered(reply.clone()))),
        );
        Ok(())
    }

    /// MAIL with what the next hop offers (RFC 1870, 6152, 6531, 3461). The envelope's name stays
    /// the same at every attempt.
    fn mail(&self, item: &Outgoing, to: &[String], text: &Text) -> Result<String, Fate> {
        let from = match item.from.as_str() {
            "" => None,
            from => Some(
                Mailbox::parse(from)
                    .ok_or_else(|| Fate::Refused("553 5.1.7 that is not an address".to_owned()))?,
            ),
        };
        let mut mail =
            format!("MAIL FROM:<{}>", from.as_ref().map(Mailbox::to_string).unwrap_or_default());
        if let Some(len_max) = self.offers.size {
            if len_max > 0 && item.size > len_max {
                return Err(Fate::Refused(format!(
                    "552 5.3.4 the next hop takes messages of at most {len_max} bytes"
                )));
            }
            mail.push_str(&format!(" SIZE={}", item.size));
        }
        if self.offers.eight_bit {
            mail.push_str(" BODY=8BITMIME");
        } else if text.is_eight_bit()? {
            return Err(Fate::Refused(
                "554 5.6.3 the next hop can't take a message with letters beyond ASCII".to_owned(),
            ));
        }
        let international = from.is_some_and(|from| from.is_international())
            || to.iter().any(|to| !to.is_ascii())
            || text.is_international()?;
        if international && self.offers.international {
            mail.push_str(" SMTPUTF8");
        } else if international {
            return Err(Fate::Refused(
                "553 5.6.7 the next hop can't take addresses or headers with letters beyond ASCII"
                    .to_owned(),
            ));
        }
        if self.offers.dsn {
            mail.push_str(&format!(" RET=HDRS ENVID={}", item.id));
        }
        mail.push_str("\r\n");
        Ok(mail)
    }
}

async fn greet(hop: &str, hello: &ClientId) -> Result<(AsyncSmtpConnection, Scissors), Fate> {
    let unreachable =
        |reason: String| Fate::NotNow(format!("451 4.4.1 the next hop can't be reached: {reason}"));
    let socket = match timeout(CONNECT_TIMEOUT, TcpStream::connect(hop)).await {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) => return Err(unreachable(error.to_string())),
        Err(_) => return Err(unreachable("it does not answer".to_owned())),
    };
    let _ = socket.set_nodelay(true);
    let (wire, scissors) = Wire::new(socket);
    let smtp =
        within(COMMAND_TIMEOUT, AsyncSmtpConnection::connect_with_transport(Box::new(wire), hello))
            .await?;
    Ok((smtp, scissors))
}

async fn within<T>(
    wait: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failure> {
    match timeout(wait, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(failure(&error)),
        Err(_) => Err(Failure::Broken(Fate::NotNow(
            "451 4.4.2 the next hop was silent for too long".to_owned(),
        ))),
    }
}

/// What a failure means (RFC 5321 4.2.1): 5xx is for good, everything else for now.
fn failure(error: &Error) -> Failure {
    let text =
        std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    match error.status() {
        Some(code) if error.is_permanent() => Failure::No(Fate::Refused(format!("{code} {text}"))),
        Some(code) => Failure::No(Fate::NotNow(format!("{code} {text}"))),
        None => Failure::Broken(Fate::NotNow(format!(
            "451 4.4.2 the connection to the next hop failed: {text}"
        ))),
    }
}

fn said(reply: &Response) -> String {
    let lines: Vec<&str> = reply.message().collect();
    format!("{} {}", reply.code(), lines.join(" "))
}

/// The text of a blob, as [`Text`] reads it.
fn read(reader: &BlobReader, at: u64, piece: &mut [u8]) -> Result<usize, Fate> {
    reader.read_at(at, piece).map_err(Fate::from)
}
