//! CAPABILITY (RFC 3501 6.1.1): what can be done here and now.

use crate::imap::context::{Context, Privacy};

/// Offered once the client has shown who it is.
const AFTER_LOGIN: &str = "IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE LIST-EXTENDED \
LIST-STATUS STATUS=SIZE ESEARCH WITHIN CONDSTORE";

/// The list as it stands in the greeting, in the answer to CAPABILITY, and in the code that follows
/// a login.
pub(crate) fn list(cx: &Context, logged_in: bool) -> String {
    if logged_in {
        return format!("{AFTER_LOGIN} APPENDLIMIT={}", cx.shared.message_len_max);
    }
    let mut list = "IMAP4rev1 LITERAL+ ID ENABLE SASL-IR".to_owned();
    if cx.link.may_start_tls {
        list.push_str(" STARTTLS");
    }
    list.push_str(if cx.link.privacy == Privacy::Open { " LOGINDISABLED" } else { " AUTH=PLAIN" });
    list
}

/// Prints the list.
pub(crate) fn run(cx: &mut Context, logged_in: bool) {
    let list = list(cx, logged_in);
    cx.out.line(format!("* CAPABILITY {list}"));
}
