//! PROXY headers: valid ones split at every byte, hostile ones, arbitrary bytes.

use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::*;

fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE.as_slice(), &[command, family], &len, rest].concat()
}

/// Source 203.0.113.9:4711, destination 192.0.2.1:25, then `tlvs`.
fn ipv4(tlvs: &[u8]) -> Vec<u8> {
    let addresses = [203, 0, 113, 9, 192, 0, 2, 1, 0x12, 0x67, 0, 25];
    header(0x21, 0x11, &[&addresses, tlvs].concat())
}

fn ipv6(source: &str) -> Vec<u8> {
    let source: std::net::Ipv6Addr = source.parse().unwrap();
    let rest = [&source.octets()[..], &[0; 16], &[0x12, 0x67, 0, 25]].concat();
    header(0x21, 0x21, &rest)
}

const LONG: Duration = Duration::from_secs(600);

/// Reads `bytes` from a connection that then ends.
async fn read(bytes: &[u8]) -> Result<Header, ProxyError> {
    let mut bytes = bytes;
    read_header(&mut bytes, LONG).await
}

#[tokio::test]
async fn client_address_is_read_and_tlvs_are_skipped() {
    let client = Some("203.0.113.9:4711".parse().unwrap());
    assert_eq!(read(&ipv4(&[])).await.unwrap().client, client);
    assert_eq!(read(&ipv4(&[0x04, 0, 3, 0, 0, 0])).await.unwrap().client, client);
    let client = Some("[2001:db8::7]:4711".parse().unwrap());
    assert_eq!(read(&ipv6("2001:db8::7")).await.unwrap().client, client);
    let mapped = Some("203.0.113.9:4711".parse().unwrap());
    assert_eq!(read(&ipv6("::ffff:203.0.113.9")).await.unwrap().client, mapped);
}

#[tokio::test]
async fn local_and_unspecified_headers_name_no_client() {
    // LOCAL ignores family and addresses.
    for (command, family, rest) in [
        (0x20, 0x00, &[][..]),
        (0x20, 0x11, &[9; 12]),
        (0x20, 0xff, &[9; 3]),
        (0x21, 0x00, &[7; 5]),
    ] {
        assert_eq!(read(&header(command, family, rest)).await.unwrap().client, None);
    }
}

#[tokio::test]
async fn split_header_leaves_the_bytes_after_it() {
    for whole in [ipv4(&[0x04, 0, 1, 0]), ipv6("2001:db8::7"), header(0x20, 0, &[])] {
        let expected = read(&whole).await.unwrap();
        for cut in 0..=whole.len() {
            let (mut proxy, mut stream) = tokio::io::duplex(1);
            let (first, second) = whole.split_at(cut);
            let sending = async move {
                proxy.write_all(first).await.unwrap();
                proxy.write_all(second).await.unwrap();
                proxy.write_all(b"EHLO").await.unwrap();
            };
            let reading = async {
                let header = read_header(&mut stream, LONG).await.unwrap();
                let mut rest = Vec::new();
                stream.read_to_end(&mut rest).await.unwrap();
                (header, rest)
            };
            let ((), (header, rest)) = tokio::join!(sending, reading);
            assert_eq!((header, rest.as_slice()), (expected, &b"EHLO"[..]), "cut at {cut}");
        }
    }
}

#[test]
fn decoder_never_asks_beyond_the_header() {
    let whole = ipv4(&[0x04, 0, 1, 0]);
    for len in 0..whole.len() {
        let Decoded::NeedMore(missing) = decode(&whole[..len]).unwrap() else {
            panic!("complete after {len} bytes")
        };
        assert!(missing > 0 && len + missing <= whole.len(), "{len}: {missing}");
    }
}

#[tokio::test]
async fn hostile_header_is_refused() {
    for bytes in [b"EHLO client.example\r\n".to_vec(), b"\r\n\r\n\0\r\nQUIT\r".to_vec()] {
        assert!(matches!(read(&bytes).await, Err(ProxyError::Signature)), "{bytes:?}");
    }
    for command in [0x00, 0x11, 0x22, 0x2f, 0x31] {
        let bytes = header(command, 0x11, &[0; 12]);
        assert!(matches!(read(&bytes).await, Err(ProxyError::Command(c)) if c == command));
    }
    for family in [0x01, 0x02, 0x10, 0x13, 0x20, 0x23, 0x30, 0x33, 0x41, 0xff] {
        let bytes = header(0x21, family, &[0; 216]);
        assert!(matches!(read(&bytes).await, Err(ProxyError::Family(f)) if f == family));
    }
    for (family, len) in [(0x11, 11), (0x21, 35), (0x11, 0), (0x11, HEADER_LEN_MAX - 15)] {
        let bytes = header(0x21, family, &vec![0; len]);
        assert!(matches!(read(&bytes).await, Err(ProxyError::Length(l)) if l == len));
    }
    let longest = header(0x21, 0x11, &vec![0; HEADER_LEN_MAX - 16]);
    assert!(read(&longest).await.is_ok());
}

#[tokio::test]
async fn version_1_header_is_refused_by_its_name() {
    let line = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\r\n";
    assert!(matches!(read(line).await, Err(ProxyError::Version1)));
    assert_eq!(ProxyError::Version1.fault(), HeaderFault::Version1);
    // A shorter beginning may be anything.
    assert!(matches!(decode(b"PROX"), Err(ProxyError::Signature)));
    assert_eq!(ProxyError::Signature.fault(), HeaderFault::Missing);
    assert_eq!(ProxyError::Family(0x41).fault(), HeaderFault::Malformed);
}

#[tokio::test]
async fn unsupported_families_name_no_client() {
    for (family, len) in [(0x12, 12), (0x22, 36), (0x31, 216), (0x32, 216), (0x31, 0)] {
        let mut bytes = header(0x21, family, &vec![9; len]);
        assert_eq!(read(&bytes).await.unwrap().client, None, "{family:#04x}");
        bytes.pop();
        assert!(read(&bytes).await.is_err(), "{family:#04x}: cut short");
    }
}

#[tokio::test]
async fn truncated_header_is_refused() {
    let whole = ipv4(&[0x04, 0, 1, 0]);
    for len in 0..whole.len() {
        let error = read(&whole[..len]).await.unwrap_err();
        assert!(
            matches!(error, ProxyError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof)
        );
    }
}

#[tokio::test]
async fn late_header_is_refused() {
    let (mut proxy, mut stream) = tokio::io::duplex(64);
    proxy.write_all(&ipv4(&[])[..20]).await.unwrap();
    let error = read_header(&mut stream, Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(error, ProxyError::Timeout));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic_the_decoder(
        is_signed: bool,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = if is_signed { [&SIGNATURE[..], &bytes].concat() } else { bytes };
        // A verdict on a prefix holds for the whole.
        let verdict = decode(&bytes);
        for len in 0..bytes.len() {
            match decode(&bytes[..len]) {
                Ok(Decoded::NeedMore(missing)) => prop_assert!(missing > 0),
                Ok(complete) => prop_assert_eq!(Some(complete), decode(&bytes).ok()),
                Err(_) => prop_assert!(verdict.is_err()),
            }
        }
    }
}

#[test]
fn damaged_header_is_refused_or_decoded() {
    let corpus = [ipv4(&[]), ipv4(&[0x04, 0, 1, 0]), SIGNATURE.to_vec()];
    freehold_proto::testing::fuzz::fuzz("proxy header", &corpus, |input| drop(decode(input)));
}
