//! COMPRESS=DEFLATE (RFC 4978) over real connections.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::imap::{TIMEOUT, deliver, open, plain};
use crate::server::TestServer;

/// A mail program whose connection is compressed.
struct Compressed {
    socket: TcpStream,
    deflate: Compress,
    inflate: Decompress,
    /// Inflated octets that were not read yet.
    text: Vec<u8>,
}

impl Compressed {
    async fn open(server: &TestServer) -> Self {
        let mut program = plain(server.addresses.imap).await;
        program.ok(&format!("LOGIN alice {}", server.app_password)).await;
        program.ok("COMPRESS DEFLATE").await;
        Self {
            socket: program.into_socket(),
            deflate: Compress::new(Compression::default(), false),
            inflate: Decompress::new(false),
            text: Vec::new(),
        }
    }

    async fn send(&mut self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let mut compressed = Vec::with_capacity(text.len() + 1_000);
        self.deflate.compress_vec(text, &mut compressed, FlushCompress::Sync).unwrap();
        self.socket.write_all(&compressed).await.unwrap();
    }

    /// Reads until the text received so far contains `wanted`, and takes the text; all of it if the
    /// connection ends.
    async fn until(&mut self, wanted: &str) -> String {
        let mut input = vec![0; 4_096];
        loop {
            let text = String::from_utf8_lossy(&self.text).into_owned();
            if text.contains(wanted) {
                self.text.clear();
                return text;
            }
            let read = tokio::time::timeout(TIMEOUT, self.socket.read(&mut input));
            let len = read.await.expect("nothing came").unwrap_or(0);
            if len == 0 {
                return text;
            }
            let mut rest = &input[..len];
            while !rest.is_empty() {
                let before = self.inflate.total_in();
                self.text.reserve(64 * 1024);
                self.inflate.decompress_vec(rest, &mut self.text, FlushDecompress::Sync).unwrap();
                rest = &rest[(self.inflate.total_in() - before) as usize..];
            }
        }
    }

    async fn ok(&mut self, command: &str) -> String {
        self.send(format!("t {command}\r\n")).await;
        let text = self.until("\r\nt ").await;
        assert!(text.contains("t OK "), "{command}: {text}");
        text
    }
}

#[tokio::test]
async fn compressed_connection_selects_appends_and_fetches() {
    let server = open().await;
    let mut program = Compressed::open(&server).await;
    program.ok("SELECT INBOX").await;
    let body: String = (0..30_000).map(|line| format!("line {line}\r\n")).collect();
    let message = format!("Subject: long\r\n\r\n{body}");
    program.send(format!("a APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len())).await;
    assert!(program.until("a OK ").await.contains("* 1 EXISTS"));
    let fetched = program.ok("FETCH 1 BODY.PEEK[]").await;
    assert!(fetched.contains(&message), "the message is unchanged");
    program.send("i IDLE\r\n").await;
    program.until("+ ").await;
    deliver(&server.node, b"Subject: hello\r\n\r\nbody\r\n").await;
    program.until("* 2 EXISTS\r\n").await;
    program.send("DONE\r\nb COMPRESS DEFLATE\r\nc LOGOUT\r\n").await;
    let text = program.until("c OK ").await;
    assert!(text.contains("b NO [COMPRESSIONACTIVE] "), "{text}");
    server.close().await;
}

#[tokio::test]
async fn damaged_or_endless_compressed_input_closes_the_connection() {
    let server = open().await;
    // A line without end: 20 MB in 20 KB.
    let mut bomb = Compressed::open(&server).await;
    bomb.send(vec![b'x'; 20_000_000]).await;
    assert!(bomb.until("* BYE").await.contains("* BYE"));
    let mut noise = Compressed::open(&server).await;
    noise.socket.write_all(&[0xff; 100]).await.unwrap();
    assert_eq!(noise.until("* BYE").await, "");
    // Many commands in few octets are all answered.
    let mut many = Compressed::open(&server).await;
    many.send("n NOOP\r\n".repeat(5_000) + "z NOOP\r\n").await;
    let text = many.until("z OK ").await;
    assert_eq!(text.matches("n OK ").count(), 5_000);
    server.close().await;
}
