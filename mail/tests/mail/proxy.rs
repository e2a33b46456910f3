//! A bad line between two servers: it forwards what it is told to, changes it, or breaks.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Looks at what one side sent on the connection of this number: what is to be forwarded, or `None`
/// to break the line.
pub type Look = dyn FnMut(usize, Side, &[u8]) -> Option<Vec<u8>> + Send;

/// Which side spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// Opens a line to `server` and says where it begins. It lasts as long as the test.
pub async fn open(server: SocketAddr, look: Box<Look>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let look = Arc::new(Mutex::new(look));
    tokio::spawn(async move {
        for number in 0.. {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(server).await.unwrap();
            let look = Arc::clone(&look);
            tokio::spawn(line(client, server, move |side, bytes: &[u8]| {
                look.lock().unwrap()(number, side, bytes)
            }));
        }
    });
    address
}

async fn line(
    mut client: TcpStream,
    mut server: TcpStream,
    mut look: impl FnMut(Side, &[u8]) -> Option<Vec<u8>>,
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
        let Some(forwarded) = look(side, bytes) else { return };
        if to.write_all(&forwarded).await.is_err() {
            return;
        }
    }
}

/// `bytes` with `one` made into `other` wherever it stands.
pub fn replaced(bytes: &[u8], one: &str, other: &str) -> Vec<u8> {
    String::from_utf8_lossy(bytes).replace(one, other).into_bytes()
}
