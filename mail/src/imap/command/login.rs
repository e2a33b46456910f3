//! LOGIN (RFC 3501 6.2.3), and the check that AUTHENTICATE shares.

use freehold_core::logins::{self, LoginError};

use crate::imap::answer::Done;
use crate::imap::command::capability;
use crate::imap::context::{Context, Privacy};
use crate::imap::cursor::{Bad, Cursor};

/// Who says they are whom.
#[derive(PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login")
    }
}

impl Login {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        cursor.space()?;
        let user = cursor.astring()?;
        cursor.space()?;
        let password = cursor.astring()?;
        let text = |bytes| String::from_utf8(bytes).map_err(|_| Bad("name and password are UTF-8"));
        Ok(Self { user: text(user)?, password: text(password)? })
    }
}

/// Refuses passwords that others could have read (RFC 3501 11.1, RFC 5530 3).
pub(crate) fn refused_in_the_open(cx: &Context) -> Option<Done> {
    (cx.link.privacy == Privacy::Open).then(|| {
        Done::no("start TLS first: a password must not travel in the open").code("PRIVACYREQUIRED")
    })
}

/// Checks an app password. An unknown user and a wrong password get the same answer.
pub(crate) async fn run(cx: &mut Context, login: Login) -> Done {
    if let Some(refused) = refused_in_the_open(cx) {
        return refused;
    }
    match logins::check_app_password(&cx.node, &login.user, &login.password, cx.link.from.into())
        .await
    {
        Ok(_) => {
            let capabilities = capability::list(cx, true);
            Done::ok("welcome").code(format!("CAPABILITY {capabilities}"))
        }
        Err(LoginError::Wrong) => {
            Done::no("name or password are wrong").code("AUTHENTICATIONFAILED")
        }
        Err(LoginError::TooOften { .. }) => {
            Done::no("too many wrong passwords; try again later").code("UNAVAILABLE")
        }
        Err(LoginError::Store(error)) => error.into(),
    }
}
