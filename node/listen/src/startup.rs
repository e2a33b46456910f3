//! Refusal while the node's data folder is being opened, which may take a minute after a power cut.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::accept::{Accepted, Acceptor, refuse};
use crate::drain::Drain;

/// Sends `refusal` to every connection that `acceptor` admits at `listener` and closes it, until
/// the returned future is dropped. The listener stays open, so no client finds a closed port
/// between this and the real service.
pub async fn refuse_during_startup(
    listener: &TcpListener,
    acceptor: Acceptor,
    refusal: &'static [u8],
) -> Infallible {
    let session = move |accepted: Accepted| async move {
        refuse(accepted.stream, refusal).await;
        drop(accepted.permit);
    };
    Arc::new(acceptor).run(listener, Drain::new(), session).await;
    // `run` returns only when its drain stops, and this drain never does.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use freehold_proto::clock::Clock;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;
    use crate::accept::Admission;
    use crate::limiter::ConnectionLimiter;

    #[tokio::test]
    async fn startup_refusal_is_sent_and_the_port_stays_open() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limiter = ConnectionLimiter::new(9, 9, Clock::system());
        let acceptor = Acceptor::new(limiter, Admission::KeepOldest);
        let connecting = async {
            let mut received = String::new();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.read_to_string(&mut received).await.unwrap();
            received
        };
        let received = tokio::select! {
            received = connecting => received,
            never = refuse_during_startup(&listener, acceptor, b"421 later\r\n") => match never {},
        };
        assert_eq!(received, "421 later\r\n");
        assert!(TcpStream::connect(address).await.is_ok());
    }
}
