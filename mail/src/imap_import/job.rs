//! Runs the imports that the owner starts in the browser, one at a time.

use std::sync::Arc;

use freehold_core::node::ImportResult;

use super::ImportEnd;
use crate::state::MailState;

/// Runs each import that is asked for, until mail stops.
pub(crate) async fn run(state: MailState) {
    loop {
        let source = tokio::select! {
            source = state.node.mail_import.next() => source,
            () = state.drain.stopping() => return,
        };
        let (server, roots) = (source.server(), Arc::clone(&state.config));
        let desk = state.node.mail_import.clone();
        let progress = desk.clone();
        let on_read = Box::new(move |done, total| progress.progressed(done, total));
        let stopped = async {
            tokio::select! {
                () = desk.stopped() => {}
                () = state.drain.stopping() => {}
            }
        };
        tracing::info!(server, "an import by IMAP begins");
        let import =
            super::import(state.node.clone(), source, &roots.trusted_roots, on_read, stopped);
        let end = Box::pin(import).await;
        tracing::info!(server, stored = end.report.outcome.stored, "an import by IMAP has ended");
        desk.ended(result(end));
    }
}

fn result(end: ImportEnd) -> ImportResult {
    let ImportEnd { report, error } = end;
    let mut left_out = report.ignored.lines();
    left_out.extend(report.left_out.lines());
    ImportResult {
        stored: report.outcome.stored,
        present: report.outcome.present,
        expunged: report.outcome.expunged,
        folders: report.folders,
        left_out: left_out.iter().map(|line| line.trim().to_owned()).collect(),
        fault: error.map(|error| error.to_string()),
        is_stopped: false,
    }
}
