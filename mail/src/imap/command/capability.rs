//! CAPABILITY (RFC 3501 6.1.1).

use crate::imap::link::{Link, Privacy};

/// Offered after login.
const AFTER_LOGIN: &str = "IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE UNSELECT \
CHILDREN SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE ESEARCH SEARCHRES \
WITHIN CONDSTORE QRESYNC BINARY UTF8=ACCEPT OBJECTID PREVIEW SAVEDATE SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT \
THREAD=REFERENCES QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE MULTIAPPEND \
REPLACE METADATA NOTIFY COMPRESS=DEFLATE";

/// The capabilities for the greeting, for CAPABILITY, and for the response code of a login.
pub(crate) fn list(link: &Link, is_logged_in: bool) -> String {
    if is_logged_in {
        return format!("{AFTER_LOGIN} APPENDLIMIT={}", link.message_len_max);
    }
    let mut list = "IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE SASL-IR".to_owned();
    if link.may_start_tls {
        list.push_str(" STARTTLS");
    }
    if link.privacy == Privacy::Cleartext {
        list.push_str(" LOGINDISABLED");
        return list;
    }
    for mechanism in std::iter::once(&"PLAIN").chain(link.scram.names()) {
        list.push_str(" AUTH=");
        list.push_str(mechanism);
    }
    list
}
