use proptest::prelude::*;

use freehold_core::mailbox::queue::Notify;

use super::*;

fn sender(line: &str) -> Sender {
    match Command::parse(line) {
        Ok(Command::Mail(sender)) => sender,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn recipient(line: &str) -> Recipient {
    match Command::parse(line) {
        Ok(Command::Rcpt(recipient)) => recipient,
        other => panic!("{line:?}: {other:?}"),
    }
}

fn refused(line: &str) -> CommandError {
    Command::parse(line).expect_err(line)
}

#[test]
fn command_is_parsed_in_any_case() {
    assert_eq!(Command::parse("ehlo mail.test"), Ok(Command::Ehlo("mail.test".into())));
    assert_eq!(Command::parse("HeLo [192.0.2.1]"), Ok(Command::Helo("[192.0.2.1]".into())));
    assert_eq!(Command::parse("DATA "), Ok(Command::Data));
    assert_eq!(Command::parse("bdat 12 last"), Ok(Command::Bdat { len: 12, last: true }));
    assert_eq!(Command::parse("NOOP whatever you like"), Ok(Command::Noop));
    assert_eq!(
        Command::parse("auth plain AGEAYg=="),
        Ok(Command::Auth { mechanism: "PLAIN".into(), initial: Some("AGEAYg==".into()) })
    );
}

#[test]
fn mail_parameters_are_parsed() {
    let mail = sender(
        "MAIL FROM:<a@b.test> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=QQ+2B1 AUTH=<>",
    );
    assert_eq!(mail.mailbox.unwrap().to_string(), "a@b.test");
    assert_eq!(mail.size, Some(1000));
    assert!(mail.eight_bit && mail.international && !mail.return_full);
    assert!(sender("MAIL FROM:<a@b.test> RET=FULL").return_full);
    assert_eq!(mail.envelope_id.as_deref(), Some("QQ+1"));
    assert_eq!(sender("MAIL FROM:<>").mailbox, None);
    assert_eq!(sender("mail from: <a@b.test>").mailbox.unwrap().to_string(), "a@b.test");
}

#[test]
fn rcpt_parameters_are_parsed() {
    let rcpt = recipient("RCPT TO:<a@b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@b.test");
    assert_eq!(rcpt.notify, Some(Notify { success: true, failure: false, delay: true }));
    assert_eq!(recipient("RCPT TO:<a@b.test>").notify, None);
    assert_eq!(rcpt.original.as_deref(), Some("rfc822;a@b.test"));
    assert_eq!(recipient("RCPT TO:<POSTMASTER>").mailbox, None);
    assert_eq!(recipient("RCPT TO:<\"a>b\"@c.test>").mailbox.unwrap().local(), "a>b");
}

#[test]
fn brackets_of_an_address_may_lack() {
    let mail = sender("MAIL FROM: a@b.test SIZE=7");
    assert_eq!((mail.mailbox.unwrap().to_string().as_str(), mail.size), ("a@b.test", Some(7)));
    let rcpt = recipient("RCPT TO:\"a b\"@c.test NOTIFY=NEVER");
    assert_eq!(rcpt.mailbox.unwrap().local(), "a b");
    assert_eq!(rcpt.notify, Some(Notify::NEVER));
    assert_eq!(recipient("rcpt to:postmaster").mailbox, None);
}

#[test]
fn source_route_is_dropped() {
    assert_eq!(
        recipient("RCPT TO:<@one.test,@two.test:bob@three.test>").mailbox.unwrap().to_string(),
        "bob@three.test"
    );
    assert_eq!(refused("RCPT TO:<@one.test:>"), CommandError::Address);
    assert_eq!(refused("RCPT TO:<@one.test>"), CommandError::Address);
}

#[test]
fn malformed_command_has_its_own_error() {
    assert_eq!(refused("GET / HTTP/1.1"), CommandError::Http);
    assert_eq!(refused("XYZZY"), CommandError::Unknown);
    assert_eq!(refused(""), CommandError::Unknown);
    assert_eq!(refused("EXPN list"), CommandError::NotOffered);
    assert_eq!(refused("MAIL FROM:<a@b.test> BODY=BINARYMIME"), CommandError::Value);
    assert_eq!(refused("MAIL FROM:<a@b.test> SIZE=1 SIZE=2"), CommandError::Value);
    assert_eq!(refused("MAIL FROM:<a@b.test> SIZE=-1"), CommandError::Value);
    assert_eq!(refused("MAIL FROM:<a@b.test> COLOUR=RED"), CommandError::Parameter);
    assert_eq!(refused("MAIL FROM:<é@b.test>"), CommandError::Address);
    assert_eq!(refused("RCPT TO:<a@b.test> NOTIFY=NEVER,SUCCESS"), CommandError::Value);
    assert_eq!(refused("RCPT TO:<a@b.test> ORCPT=rfc822;a+zz"), CommandError::Value);
    assert_eq!(refused("RCPT TO:<a@b.test> ORCPT=r_f;a"), CommandError::Value);
    assert_eq!(refused("RCPT TO:<>"), CommandError::Address);
    assert_eq!(refused("RCPT TO:<a@b@c>"), CommandError::Address);
    assert!(matches!(refused("MAIL FROM:"), CommandError::Syntax(_)));
    assert_eq!(refused("MAIL FROM:a@b.test>"), CommandError::Address);
    assert_eq!(refused("RCPT TO:a@b.test b@c.test"), CommandError::Parameter);
    assert_eq!(refused("RCPT TO:\"a b@c.test"), CommandError::Address);
    assert!(matches!(refused("MAIL FROM:<a@b.test>SIZE=1"), CommandError::Syntax(_)));
    assert!(matches!(refused("MAIL FROM:<\"a@b.test>"), CommandError::Syntax(_)));
    assert!(matches!(refused("RSET now"), CommandError::Syntax(_)));
    assert!(matches!(refused("NO\0OP"), CommandError::Syntax(_)));
    assert!(matches!(refused("BDAT -1"), CommandError::Syntax(_)));
    assert!(matches!(refused("EHLO"), CommandError::Syntax(_)));
}

proptest! {
    #[test]
    fn any_command_line_is_parsed_or_refused(line in "(MAIL FROM:|RCPT TO:|BDAT |AUTH |EHLO )?.{0,80}") {
        let _ = Command::parse(&line);
    }

    /// smtp-proto as an oracle: where both parse a plain transaction, the results agree.
    #[test]
    fn command_parser_agrees_with_smtp_proto(local in "[a-z0-9+._-]{1,12}", domain in "[a-z0-9]{1,8}(\\.[a-z]{2,5}){1,2}", size in 0u32..) {
        let line = format!("MAIL FROM:<{local}@{domain}> SIZE={size} BODY=8BITMIME\r\n");
        let oracle = smtp_proto::Request::parse(&mut line.as_bytes().iter());
        if let Ok(smtp_proto::Request::Mail { from }) = oracle
            && let Ok(Command::Mail(ours)) = Command::parse(line.trim_end())
        {
            // Without the quotes of the canonical form.
            let mailbox = ours.mailbox.unwrap();
            let address = format!("{}@{}", mailbox.local(), mailbox.domain());
            prop_assert_eq!(address, from.address.to_string());
            prop_assert_eq!(ours.size, Some(from.size as u64));
        }
    }
}
