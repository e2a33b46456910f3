use freehold_core::testing::fuzz::fuzz;
use proptest::prelude::*;

use super::*;

const SALT: [u8; 16] = [7; 16];
const BINDING: ChannelBinding = ChannelBinding([0xb1; 32]);

fn first(message: &str) -> Result<ClientFirst, ScramError> {
    ClientFirst::parse(message.as_bytes())
}

/// The server's side after `message`, with the mechanism that has `binding`.
fn begin(
    message: &str,
    binding: Option<ChannelBinding>,
    advertises_plus: bool,
) -> Result<ScramServer, ScramError> {
    ScramServer::new(first(message)?, binding, advertises_plus, "SERVER", &SALT, 4096)
}

fn bound(header: &str, binding: &[u8]) -> String {
    BASE64.encode(&[header.as_bytes(), binding].concat())
}

/// A last message with this channel binding, nonce and the rest before the proof.
fn last(binding: &str, rest: &str) -> Vec<u8> {
    format!("c={binding},{rest},p={}", BASE64.encode(&[3; 32])).into_bytes()
}

/// The messages of RFC 7677 section 3.
#[test]
fn rfc_7677_messages_are_parsed() {
    let first = first("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
    let salt = BASE64.decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let server = ScramServer::new(first, None, false, nonce, &salt, 4096).unwrap();
    assert_eq!(
        server.challenge(),
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let proof = server.proof(last.as_bytes()).unwrap();
    assert_eq!(
        proof.auth_message,
        "n=user,r=rOprNGfwEbeRWgbNEkqO,\
         r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
         c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    );
    assert_eq!(BASE64.encode(&proof.proof), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
}

#[test]
fn escapes_in_scram_names_are_decoded() {
    for (written, name) in
        [("a=2Cb=3Dc", "a,b=c"), ("=3D2C", "=2C"), ("=2C=2C", ",,"), ("älice", "älice")]
    {
        assert_eq!(first(&format!("n,,n={written},r=x")).unwrap().user(), name);
    }
    for wrong in ["a=", "a=2", "a=2c", "a=3d", "=", "a==3D", "a=41", ""] {
        let refused = first(&format!("n,,n={wrong},r=x"));
        assert!(matches!(refused, Err(ScramError::Malformed(_))), "{wrong}: {refused:?}");
    }
}

#[test]
fn malformed_first_scram_message_is_refused() {
    let long_nonce = format!("n,,n=a,r={}", "x".repeat(NONCE_LEN_MAX + 1));
    let long_name = format!("n,,n={},r=x", "a".repeat(MESSAGE_LEN_MAX));
    for wrong in [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=a",
        "n,,n=a,",
        "n,,n=a,r=",
        "n,,r=x,n=a",
        "n,,r=x",
        "x,,n=a,r=x",
        "p,,n=a,r=x",
        "p=,,n=a,r=x",
        "p=a_b,,n=a,r=x",
        "n,b,n=a,r=x",
        "n,a=,n=a,r=x",
        "n,,m=1,n=a,r=x",
        "n,,n=a,r=x,m=1",
        "n,,n=a,r=x,",
        "n,,n=a,r=x,1=2",
        "n,,n=a,r=x,a",
        "n,,n=a,r=x y",
        "n,,n=a,r=ä",
        "n,,n=a\0,r=x",
        "n,,n,r=x",
        "n,,n=a,n=b",
        &long_nonce,
        &long_name,
    ] {
        let refused = first(wrong);
        assert!(matches!(refused, Err(ScramError::Malformed(_))), "{wrong}: {refused:?}");
    }
    assert!(ClientFirst::parse(b"n,,n=\xff,r=x").is_err());
    let extended = first("n,,n=a,r=x,a=b,z==,=").map(drop);
    assert!(extended.is_err(), "a value without a name");
    assert!(first("n,,n=a,r=x,a=b,z==").is_ok(), "optional extensions are ignored");
}

#[test]
fn malformed_last_scram_message_is_refused() {
    let proof = BASE64.encode(&[3; 32]);
    let short = BASE64.encode(&[3; 31]);
    for wrong in [
        String::new(),
        format!("p={proof}"),
        format!("c=biws,p={proof}"),
        format!("r=xSERVER,p={proof}"),
        format!("r=xSERVER,c=biws,p={proof}"),
        "c=biws,r=xSERVER".to_owned(),
        "c=biws,r=xSERVER,p=".to_owned(),
        format!("c=biws,r=xSERVER,p={short}"),
        format!("c=biws,r=xSERVER,p={proof},a=b"),
        format!("c=biws,r=xSERVER,m=1,p={proof}"),
        format!("c=b,r=xSERVER,p={proof}"),
        format!("c=biws,r=xSERVER,,p={proof}"),
        format!("c=biws,r=xSERVER,a={},p={proof}", "b".repeat(MESSAGE_LEN_MAX)),
    ] {
        let refused = begin("n,,n=a,r=x", None, false).unwrap().proof(wrong.as_bytes()).map(drop);
        assert!(matches!(refused, Err(ScramError::Malformed(_))), "{wrong}: {refused:?}");
    }
    let server = || begin("n,,n=a,r=x", None, false).unwrap();
    assert!(server().proof(&[0xff; 40]).is_err());
    assert!(server().proof(&last("biws", "r=xSERVER,e=f")).is_ok());
}

#[test]
fn other_scram_nonce_is_refused() {
    for nonce in ["x", "SERVER", "xSERVERx", "xSERVE", "yOTHER"] {
        let server = begin("n,,n=a,r=x", None, false).unwrap();
        let refused = server.proof(&last("biws", &format!("r={nonce}"))).map(drop);
        assert_eq!(refused, Err(ScramError::WrongNonce), "{nonce}");
    }
}

#[test]
fn channel_binding_is_that_of_the_connection() {
    let header = "p=tls-exporter,,";
    let server = || begin("p=tls-exporter,,n=a,r=x", Some(BINDING), true).unwrap();
    assert!(server().proof(&last(&bound(header, &BINDING.0), "r=xSERVER")).is_ok());
    for wrong in [
        bound(header, &[0; 32]),
        bound(header, &BINDING.0[..31]),
        bound(header, b""),
        bound("n,,", b""),
        bound("p=tls-unique,,", &BINDING.0),
    ] {
        let refused = server().proof(&last(&wrong, "r=xSERVER")).map(drop);
        assert_eq!(refused, Err(ScramError::WrongBinding), "{wrong}");
    }
    // Without channel binding the header is repeated alone.
    let server = || begin("y,a=a,n=a,r=x", None, false).unwrap();
    assert!(server().proof(&last(&bound("y,a=a,", b""), "r=xSERVER")).is_ok());
    for wrong in ["biws".to_owned(), bound("n,a=a,", b""), bound("y,a=a,", &BINDING.0)] {
        let refused = server().proof(&last(&wrong, "r=xSERVER")).map(drop);
        assert_eq!(refused, Err(ScramError::WrongBinding), "{wrong}");
    }
}

/// RFC 5802 section 6.
#[test]
fn channel_binding_flag_must_fit_the_mechanism() {
    use ScramError::{Downgraded, UnsupportedBinding};
    for (flag, binding, advertises_plus, refusal) in [
        ("n", None, false, None),
        ("n", None, true, None),
        ("y", None, false, None),
        ("y", None, true, Some(Downgraded)),
        ("p=tls-exporter", None, true, Some(UnsupportedBinding)),
        ("p=tls-exporter", None, false, Some(UnsupportedBinding)),
        ("p=tls-exporter", Some(BINDING), true, None),
        ("p=tls-unique", Some(BINDING), true, Some(UnsupportedBinding)),
        ("p=tls-server-end-point", Some(BINDING), true, Some(UnsupportedBinding)),
        ("p=TLS-EXPORTER", Some(BINDING), true, Some(UnsupportedBinding)),
        ("n", Some(BINDING), true, Some(UnsupportedBinding)),
        ("y", Some(BINDING), true, Some(UnsupportedBinding)),
    ] {
        let begun = begin(&format!("{flag},,n=a,r=x"), binding, advertises_plus);
        assert_eq!(begun.err(), refusal, "{flag} {binding:?} {advertises_plus}");
    }
}

#[test]
fn scram_client_acts_as_itself_alone() {
    assert!(begin("n,a=a=2Cb,n=a=2Cb,r=x", None, false).is_ok());
    let other = begin("n,a=b,n=a,r=x", None, false);
    assert_eq!(other.err(), Some(ScramError::OtherIdentity));
}

fn play(one: &[u8], two: &[u8]) {
    if let Ok(first) = ClientFirst::parse(one)
        && let Ok(server) = ScramServer::new(first, None, false, "S", &SALT, 4096)
    {
        let _ = server.proof(two).is_ok();
    }
}

proptest! {
    #[test]
    fn any_scram_message_is_parsed_or_refused(
        one in "(n|y|p=tls-exporter)?,?(a=b)?,?(n=[a-z=,2CD3]{0,9})?,?(r=[!-~]{0,9})?.{0,9}",
        two in "(c=biws)?,?(r=[!-~]{0,9})?,?.{0,9}(,p=[A-Za-z/+=]{0,50})?",
    ) {
        play(one.as_bytes(), two.as_bytes());
    }
}

#[test]
fn damaged_scram_messages_never_panic() {
    let seeds: Vec<Vec<u8>> =
        vec![b"n,a=a,n=a=2C,r=x,e=f".to_vec(), b"p=tls-exporter,,n=a,r=x".to_vec()];
    fuzz("scram first", &seeds, |input| play(input, &last("biws", "r=xS")));
    let last = vec![last("biws", "r=xS")];
    fuzz("scram last", &last, |input| play(b"n,,n=a,r=x", input));
}
