//! Ends sessions whose app password has expired while they wait for their client.

use std::time::Duration;

use freehold_core::logins;
use tokio::time::sleep;

use crate::state::MailState;

/// The pause between two looks at the open sessions. A command is refused at once.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Runs until mail stops.
pub(crate) async fn end_expired(state: MailState) {
    loop {
        tokio::select! {
            () = state.drain.stopping() => return,
            () = sleep(LOOK_EVERY) => logins::end_expired_program_sessions(&state.node),
        }
    }
}
