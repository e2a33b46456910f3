//! A link between two servers that forwards bytes, changes them, or breaks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Gets the number of the connection, the sending side and the bytes; returns the bytes to forward,
/// or `None` to break the connection.
pub type Filter = dyn FnMut(usize, Side, &[u8]) -> Option<Vec<u8>> + Send;

/// The sending side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// Opens a link to `server` and returns the address of its other end. The link lasts as long as the
/// test.
pub async fn open(server: SocketAddr, filter: Box<Filter>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let filter = Arc::new(Mutex::new(filter));
    tokio::spawn(async move {
        for number in 0.. {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server).await.unwrap();
            let filter = Arc::clone(&filter);
            tokio::spawn(forward(client, server, move |side, bytes: &[u8]| {
                filter.lock().unwrap()(number, side, bytes)
            }));
        }
    });
    address
}

async fn forward(
    mut client: TcpStream,
    mut server: TcpStream,
    mut filter: impl FnMut(Side, &[u8]) -> Option<Vec<u8>>,
) {
    let (mut from_client, mut from_server) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let (side, read) = tokio::select! {
            read = client.read(&mut from_client) => (Side::Client, read),
            read = server.read(&mut from_server) => (Side::Server, read),
        };
        let Ok(len @ 1..) = read else { return };
        let (bytes, to) = match side {
            Side::Client => (&from_client[..len], &mut server),
            Side::Server => (&from_server[..len], &mut client),
        };
        let Some(forwarded) = filter(side, bytes) else { return };
        if to.write_all(&forwarded).await.is_err() {
            return;
        }
    }
}

/// `bytes` with every `one` replaced by `other`.
pub fn replaced(bytes: &[u8], one: &str, other: &str) -> Vec<u8> {
    String::from_utf8_lossy(bytes).replace(one, other).into_bytes()
}
