//! SASL logins of several messages: SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, for SMTP and IMAP.
//!
//! A session parses the client's first message and decodes the others; this side checks them with
//! the node's app passwords. After a right proof the client is sent the server's signature, and it
//! is logged in when it has answered with an empty message (RFC 4954 4, RFC 9051 6.2.2): until then
//! it may refuse the server.

pub mod scram;

use std::net::IpAddr;

use data_encoding::BASE64;
use freehold_core::blocking::try_blocking;
use freehold_core::logins::{
    self, LoginError, ProgramLoginError, ProgramSession, Protocol, ProvenProgram, ScramParameters,
};
use freehold_core::node::Node;

use crate::state::MailState;
use crate::stream::{ChannelBinding, Stream};
use scram::{ClientFirst, ScramError, ScramServer};

/// The SCRAM mechanisms of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScramOffer {
    /// Whether SCRAM is advertised. It is not while an app password of an earlier version would
    /// fail by it.
    pub is_advertised: bool,
    /// The channel binding of the connection. Where there is one, SCRAM-SHA-256-PLUS is advertised
    /// too.
    pub binding: Option<ChannelBinding>,
}

impl ScramOffer {
    /// The offer on this connection.
    pub(crate) async fn on(state: &MailState, stream: &Stream) -> Self {
        let node = state.node.clone();
        // A store that can't be read answers for itself at the login.
        let is_advertised = try_blocking(move || logins::offers_scram(&node)).await;
        Self { is_advertised: is_advertised.unwrap_or(false), binding: stream.channel_binding() }
    }

    /// The names to advertise.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        match (self.is_advertised, self.binding) {
            (false, _) => &[],
            (true, None) => &["SCRAM-SHA-256"],
            (true, Some(_)) => &["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"],
        }
    }

    /// The channel binding that a mechanism uses: `Some(None)` is SCRAM without one. `None` for a
    /// mechanism that the connection does not have.
    pub(crate) fn binding_of(&self, mechanism: &str) -> Option<Option<ChannelBinding>> {
        match mechanism {
            "SCRAM-SHA-256" => Some(None),
            "SCRAM-SHA-256-PLUS" => Some(Some(self.binding?)),
            _ => None,
        }
    }

    fn advertises_plus(&self) -> bool {
        self.is_advertised && self.binding.is_some()
    }
}

/// The client's first message of a SCRAM login.
#[derive(Debug)]
pub struct ScramStart {
    pub(crate) first: ClientFirst,
    /// The channel binding of its mechanism.
    pub(crate) binding: Option<ChannelBinding>,
    /// The mechanisms of the connection.
    pub(crate) offer: ScramOffer,
}

/// A message from the client, decoded. Its `Debug` is empty, so that it is in no log.
pub struct ScramResponse(pub(crate) Vec<u8>);

impl std::fmt::Debug for ScramResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScramResponse")
    }
}

/// The server's side of the logins of one connection.
#[derive(Default)]
pub(crate) struct Sasl(Option<Stage>);

enum Stage {
    /// The salt is sent.
    Challenged(Box<ScramServer>),
    /// The server's signature is sent.
    Proven(Box<ProvenProgram>),
}

/// The next step of a login.
pub(crate) enum SaslStep {
    /// Send this, in base64.
    Challenge(String),
    /// The client is logged in.
    LoggedIn(ProgramSession),
    /// The login failed.
    Refused(SaslError),
}

/// Why a SASL login failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaslError {
    #[error(transparent)]
    Scram(#[from] ScramError),
    #[error(transparent)]
    Login(#[from] ProgramLoginError),
}

impl Sasl {
    /// Answers the client's first message. A login in progress is forgotten.
    pub(crate) fn start(
        &mut self,
        node: &Node,
        protocol: Protocol,
        from: IpAddr,
        start: ScramStart,
    ) -> SaslStep {
        self.0 = None;
        let user = start.first.user().to_owned();
        self.started(node, start)
            .unwrap_or_else(|error| refused(node, protocol, from, &user, error))
    }

    fn started(&mut self, node: &Node, start: ScramStart) -> Result<SaslStep, SaslError> {
        let ScramParameters { salt, iterations } =
            logins::scram_parameters(node).map_err(ProgramLoginError::from)?;
        let nonce = BASE64.encode(&node.random.array::<18>());
        let ScramStart { first, binding, offer } = start;
        let server =
            ScramServer::new(first, binding, offer.advertises_plus(), &nonce, &salt, iterations)?;
        let challenge = BASE64.encode(server.challenge().as_bytes());
        self.0 = Some(Stage::Challenged(Box::new(server)));
        Ok(SaslStep::Challenge(challenge))
    }

    /// Answers a later message.
    pub(crate) async fn proceed(
        &mut self,
        node: &Node,
        protocol: Protocol,
        from: IpAddr,
        response: ScramResponse,
    ) -> SaslStep {
        match self.0.take() {
            Some(Stage::Challenged(server)) => {
                let user = server.user().to_owned();
                let proven = match server.proof(&response.0) {
                    Ok(proof) => logins::prove_program(node, proof, protocol, from)
                        .await
                        .map_err(SaslError::from),
                    Err(error) => Err(error.into()),
                };
                match proven {
                    Ok(proven) => {
                        let signature = format!("v={}", BASE64.encode(&proven.server_signature));
                        self.0 = Some(Stage::Proven(Box::new(proven)));
                        SaslStep::Challenge(BASE64.encode(signature.as_bytes()))
                    }
                    Err(error) => refused(node, protocol, from, &user, error),
                }
            }
            Some(Stage::Proven(proven)) if response.0.is_empty() => match proven.log_in(node).await
            {
                Ok(session) => SaslStep::LoggedIn(session),
                Err(error) => SaslStep::Refused(error.into()),
            },
            Some(Stage::Proven(_)) | None => {
                SaslStep::Refused(ScramError::Malformed("an empty response must follow").into())
            }
        }
    }
}

/// Logs a refused login. A wrong channel binding is logged like a wrong password.
fn refused(
    node: &Node,
    protocol: Protocol,
    from: IpAddr,
    user: &str,
    error: SaslError,
) -> SaslStep {
    match &error {
        SaslError::Login(error) => {
            logins::report_refused_program(node, protocol, from, user, error);
        }
        SaslError::Scram(ScramError::Malformed(_)) => {}
        SaslError::Scram(_) => {
            let wrong = LoginError::Wrong;
            logins::report_refused_login(node, protocol, from, Some(user), &wrong);
        }
    }
    SaslStep::Refused(error)
}

/// Decodes a base64 response of at most [`scram::MESSAGE_LEN_MAX`] bytes. `=` alone is the empty
/// response (RFC 4954 4, RFC 4959 3).
pub(crate) fn decoded(response: &str) -> Option<Vec<u8>> {
    if response == "=" {
        return Some(Vec::new());
    }
    let is_short = response.len() <= scram::MESSAGE_LEN_MAX.div_ceil(3) * 4;
    is_short.then(|| BASE64.decode(response.as_bytes()).ok()).flatten()
}
