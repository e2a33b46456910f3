//! `app-password`: makes an app password, which replaces that of the same label.

use anyhow::Result;
use freehold_core::logins::{self, AppLimits, AppScope};
use freehold_core::profile;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Response;
use super::execute::{ControlContext, invalid};
use crate::shell::mail_commands;
use crate::{certificate, exit};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// The longest life of a password that expires, in days.
const DAYS_MAX: u32 = 36_500;

/// The app password to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct NewAppPassword {
    pub(crate) label: String,
    /// `read`, `send` or `both`; empty is `both`.
    #[serde(default)]
    pub(crate) scope: String,
    /// After how many days it expires.
    #[serde(default)]
    pub(crate) expires_days: Option<u32>,
}

pub(super) async fn create(context: &ControlContext, wanted: NewAppPassword) -> Result<Response> {
    let owner = context.owner()?;
    let (node, label) = (&context.node, wanted.label.trim());
    if label.is_empty() {
        return Err(exit::with(
            exit::DATA,
            "the app password needs a name, by which you can revoke it: \"phone\", \"mutt on the desk\"",
        ));
    }
    let scope = match wanted.scope.as_str() {
        "" => AppScope::default(),
        scope => scope.parse().map_err(invalid)?,
    };
    let expires = match wanted.expires_days {
        None => None,
        Some(days @ 1..=DAYS_MAX) => {
            Some(node.clock.now().plus_millis(u64::from(days).saturating_mul(DAY_MS)))
        }
        Some(_) => {
            let text = format!("an app password expires after 1 to {DAYS_MAX} days");
            return Err(exit::with(exit::DATA, text));
        }
    };
    // One password per label: a new one for the same program replaces a lost one.
    for old in logins::app_passwords(node)?.into_iter().filter(|old| old.label == label) {
        logins::revoke_app_password(node, old.id).await?;
    }
    let limits = AppLimits { scope, expires };
    let created = logins::create_limited_app_password(node, label, limits).await;
    let (_, password) = created.map_err(invalid)?;
    let address = profile::address(&owner);
    let mut text = format!(
        "{password}\n\nPassword for {label}; the user name is {address}. It is shown only once."
    );
    text.push_str(match scope {
        AppScope::Both => "",
        AppScope::Read => " It is for reading mail only.",
        AppScope::Send => " It is for sending mail only.",
    });
    match wanted.expires_days {
        None => {}
        Some(1) => text.push_str(" It expires in a day."),
        Some(days) => text.push_str(&format!(" It expires in {days} days.")),
    }
    // Port 0: the system chooses the port at the next start. The commands send and read.
    let is_known = context.ports.smtps.port() != 0 && context.ports.imaps.port() != 0;
    if is_known && scope == AppScope::Both {
        text.push_str(" While the node runs, these commands send a message and read it:\n");
        let user = format!("{address}:{password}");
        for line in
            mail_commands(&address, &user, &context.ports, &certificate::path(&context.data))
        {
            text.push_str(&format!("\n  {line}"));
        }
    }
    Ok(Response::text(text).with(json!({ "app_password": password })))
}
