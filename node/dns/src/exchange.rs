//! One message to a name server over TCP, and its answer (RFC 1035 4.2.2).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long the whole exchange may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends the message and returns the answer.
///
/// # Errors
/// The connection's.
pub(crate) async fn exchange(server: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidInput, "the message is too long");
    let len = u16::try_from(message.len()).map_err(|_| too_long())?;
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let mut framed = len.to_be_bytes().to_vec();
        framed.extend_from_slice(message);
        stream.write_all(&framed).await?;
        let len = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(len)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    match tokio::time::timeout(TIMEOUT, exchange).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer within 10 seconds")),
    }
}
