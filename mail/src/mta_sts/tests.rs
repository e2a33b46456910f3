//! The policy that counts: the one that is kept, and the DNS that shows it or hides it.

use std::net::SocketAddr;
use std::str::FromStr;

use freehold_core::mta_sts::Mode;
use freehold_core::testing::TestNode;
use mail_auth::hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use mail_auth::hickory_resolver::proto::rr::rdata::TXT;
use mail_auth::hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

use super::*;
use crate::MailConfig;

/// A DNS server that knows one TXT record at `_mta-sts.bob.house`, if any, and nothing else.
async fn dns_with(text: Option<&'static str>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
            let request = Message::from_vec(&buffer[..len]).unwrap();
            let query = request.queries.first().unwrap().clone();
            let mut reply = Message::response(request.metadata.id, OpCode::Query);
            reply.add_query(query.clone());
            let name = Name::from_str("_mta-sts.bob.house.").unwrap();
            match text {
                Some(text) if *query.name() == name && query.query_type() == RecordType::TXT => {
                    let data = RData::TXT(TXT::new(vec![text.to_owned()]));
                    reply.add_answer(Record::from_rdata(name, 0, data));
                }
                _ => reply.metadata.response_code = ResponseCode::NXDomain,
            }
            let _ = socket.send_to(&reply.to_vec().unwrap(), from).await;
        }
    });
    address
}

/// The policy of bob.house as a node sees it with this record in DNS.
async fn seen(node: &TestNode, text: Option<&'static str>) -> Option<Policy> {
    let config = MailConfig { dns_servers: vec![dns_with(text).await], ..MailConfig::default() };
    let dns = Dns::new(&config.dns_servers).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = made.key_pair.serialize_der().try_into().unwrap();
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let state = MailState::new((**node).clone(), config, Arc::new(tls));
    policy(&state, &dns, "bob.house").await.unwrap()
}

#[tokio::test]
async fn kept_policy_counts_when_dns_hides_it() {
    let alice = TestNode::new("alice").await;
    assert_eq!(seen(&alice, None).await, None);
    // There is a record, and no web server.
    assert_eq!(seen(&alice, Some("v=STSv1; id=1;")).await, None);
    let mx = vec!["mx.bob.house".to_owned()];
    let kept = Policy { mode: Mode::Enforce, mx, max_age_secs: 1000 };
    let now = alice.clock.now();
    let fetched = FetchedPolicy { id: "1".to_owned(), policy: kept.clone(), fetched: now };
    mta_sts::put(&alice, "bob.house", fetched).await.unwrap();
    for text in [
        Some("v=STSv1; id=1;"),
        // A new one that can't be fetched does not replace it.
        Some("v=STSv1; id=2;"),
        Some("v=spf1 -all"),
        None,
    ] {
        assert_eq!(seen(&alice, text).await.as_ref(), Some(&kept), "{text:?}");
    }
    alice.clock.advance(999_000);
    assert_eq!(seen(&alice, None).await, Some(kept), "it is old and can't be renewed");
    alice.clock.advance(1000);
    assert_eq!(seen(&alice, Some("v=STSv1; id=1;")).await, None, "its time is over");
}

#[test]
fn failed_fetch_is_remembered_for_its_id() {
    let failed = FailedFetches::default();
    let at = |ms: u64| Timestamp(10 + ms);
    failed.insert("bob.house", "1".to_owned(), at(0));
    assert!(failed.contain("bob.house", "1", at(FAILED_MS - 1)));
    assert!(!failed.contain("bob.house", "2", at(1)));
    assert!(!failed.contain("ann.house", "1", at(1)));
    assert!(!failed.contain("bob.house", "1", at(FAILED_MS)));
    assert!(!failed.contain("bob.house", "1", Timestamp(0)), "the clock was set back");
    for number in 0..2 * FAILED_MAX {
        failed.insert(&number.to_string(), "1".to_owned(), at(1));
    }
    assert_eq!(failed.0.lock().unwrap().len(), FAILED_MAX);
    failed.insert("late.house", "1".to_owned(), at(2 * FAILED_MS));
    assert_eq!(failed.0.lock().unwrap().len(), 1);
}

#[test]
fn own_policy_is_read_by_others() {
    let policy = Policy::own(Mode::Enforce, "MAIL.bob.house");
    assert_eq!(parse::policy(policy.text().as_bytes()), Ok(policy.clone()));
    assert_eq!(policy.mx, ["mail.bob.house"]);
    let record = policy.record();
    let id = record::id(std::slice::from_ref(&record)).map(str::to_owned);
    assert!(id.is_some_and(|id| id.len() == 16), "{record}");
    assert_ne!(Policy::own(Mode::Testing, "mail.bob.house").record(), record);
}
