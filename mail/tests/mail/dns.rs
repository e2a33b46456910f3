//! A DNS server for tests, on a port of the system's choice.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use mail_auth::hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use mail_auth::hickory_resolver::proto::rr::rdata::{A, PTR, TXT};
use mail_auth::hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

/// The longest answer over UDP; a longer one is truncated and asked for over TCP.
const UDP_LEN_MAX: usize = 1232;

/// How a name is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With a text of any length.
    Text(String),
    /// With an address.
    Address(Ipv4Addr),
    /// With the name of an address.
    Pointer(String),
    /// With the failure of the name's servers.
    Failure,
}

/// The names of the world.
#[derive(Clone, Default)]
pub struct Zone(HashMap<String, Vec<Answer>>);

impl Zone {
    /// Adds an answer for `name`.
    pub fn with(mut self, name: &str, answer: Answer) -> Self {
        self.0.entry(name.to_ascii_lowercase()).or_default().push(answer);
        self
    }

    /// Adds a TXT record.
    pub fn text(self, name: &str, text: &str) -> Self {
        self.with(name, Answer::Text(text.to_owned()))
    }

    /// The reply to one question; `None` to a message without one.
    fn reply(&self, request: &Message) -> Option<Message> {
        let query = request.queries.first()?;
        let mut reply = Message::response(request.metadata.id, OpCode::Query);
        reply.add_query(query.clone());
        reply.metadata.recursion_available = true;
        let asked = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
        let Some(answers) = self.0.get(&asked) else {
            reply.metadata.response_code = ResponseCode::NXDomain;
            return Some(reply);
        };
        for answer in answers {
            if matches!(answer, Answer::Failure) {
                reply.metadata.response_code = ResponseCode::ServFail;
            }
            if let Some(data) = data(answer, query.query_type()) {
                reply.add_answer(Record::from_rdata(query.name().clone(), 300, data));
            }
        }
        Some(reply)
    }
}

/// The record of a type.
fn data(answer: &Answer, asked: RecordType) -> Option<RData> {
    let name = |name: &str| Name::from_str(&format!("{name}.")).unwrap();
    match (asked, answer) {
        (RecordType::TXT, Answer::Text(text)) => {
            let pieces = text.as_bytes().chunks(255).map(String::from_utf8_lossy);
            Some(RData::TXT(TXT::new(pieces.map(|piece| piece.into_owned()).collect())))
        }
        (RecordType::A, Answer::Address(address)) => Some(RData::A(A(*address))),
        (RecordType::PTR, Answer::Pointer(host)) => Some(RData::PTR(PTR(name(host)))),
        _ => None,
    }
}

/// Starts a server for `zone`. It ends with the test's runtime.
pub async fn serve(zone: Zone) -> SocketAddr {
    let zone = Arc::new(zone);
    // UDP and TCP at the same port.
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let answering = zone.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((len, from)) = udp.recv_from(&mut buffer).await {
            let Ok(request) = Message::from_vec(&buffer[..len]) else { continue };
            let Some(reply) = answering.reply(&request) else { continue };
            let mut bytes = reply.to_vec().unwrap();
            if bytes.len() > UDP_LEN_MAX {
                bytes = reply.truncate().to_vec().unwrap();
            }
            let _ = udp.send_to(&bytes, from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let zone = zone.clone();
            tokio::spawn(async move {
                while let Ok(len) = stream.read_u16().await {
                    let mut request = vec![0; len.into()];
                    if stream.read_exact(&mut request).await.is_err() {
                        return;
                    }
                    let Ok(request) = Message::from_vec(&request) else { return };
                    let Some(reply) = zone.reply(&request) else { continue };
                    let bytes = reply.to_vec().unwrap();
                    let framed = [&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat();
                    if stream.write_all(&framed).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
