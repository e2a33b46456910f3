//! `freehold export` and `freehold import`: mail in files of other programs.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use freehold_core::blocking::{blocking, blocking_future};
use freehold_core::node::Node;
use freehold_mail::files::{
    self, ExportReport, FilesError, Format, ImportOptions, ImportReport, LeftOut,
};
use serde_json::json;

use super::check::{StopOnDrop, count_of};
use super::{OnProgress, Response};
use crate::exit;

/// The shortest pause between two progress reports.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Exports all mail to a folder. Dropping the future stops the export.
pub(super) async fn export(
    node: &Node,
    format: Format,
    folder: PathBuf,
    on_progress: OnProgress,
) -> Result<Response> {
    let stop_on_drop = StopOnDrop::default();
    let (node, stop) = (node.clone(), stop_on_drop.0.clone());
    let paced = paced(on_progress);
    let on_progress = move |done, total| paced("Messages", done, total);
    let shown = folder.display().to_string();
    let report = blocking(move || files::export(&node, format, &folder, &on_progress, &stop)).await;
    let report = report.context("the export ended early")?.map_err(failed)?;
    let ExportReport { folders, messages, len, left_out } = report;
    let mut lines = vec![format!(
        "Exported {} of {} ({len} bytes) to {shown}.",
        count_of(messages, "message"),
        count_of(folders, "folder"),
    )];
    lines.extend(left_out_lines("Not exported", &left_out));
    Ok(Response::text(lines.join("\n")).with(json!({
        "folders": folders, "messages": messages, "left_out": left_out.count,
    })))
}

/// Imports mail. Dropping the future stops the import.
pub(super) async fn import(
    node: &Node,
    options: ImportOptions,
    on_progress: OnProgress,
) -> Result<Response> {
    let stop_on_drop = StopOnDrop::default();
    let (node, stop) = (node.clone(), stop_on_drop.0.clone());
    let import = files::import(node, options, Box::new(paced(on_progress)), stop);
    let report =
        blocking_future(import).await.context("the import ended early")?.map_err(failed)?;
    Ok(response(&report))
}

/// The counts of an import.
pub(super) fn response(report: &ImportReport) -> Response {
    Response::text(import_lines(report).join("\n")).with(json!({
        "imported": report.outcome.stored,
        "present": report.outcome.present,
        "expunged": report.outcome.expunged,
        "folders": report.folders,
        "left_out": report.left_out.count,
    }))
}

/// The error with the exit code of its cause.
pub(super) fn failed(error: FilesError) -> anyhow::Error {
    let code = code_of(&error);
    exit::with(code, error.to_string())
}

fn code_of(error: &FilesError) -> u8 {
    let of_store = |error: anyhow::Error| exit::store_code(&error).unwrap_or(1);
    match error {
        FilesError::Unavailable(_) | FilesError::Server(_) => exit::UNAVAILABLE,
        FilesError::Target(_) => exit::CANT_CREATE,
        FilesError::Source(_) => exit::NO_INPUT,
        FilesError::NoMail(_) | FilesError::Login(_) => exit::DATA,
        FilesError::Folder(error) => of_store(error.clone().into()),
        FilesError::Deliver(error) => of_store(error.clone().into()),
        FilesError::Store(error) => of_store(error.clone().into()),
        FilesError::Partly { cause, .. } => code_of(cause),
    }
}

fn import_lines(report: &ImportReport) -> Vec<String> {
    let outcome = &report.outcome;
    let mut lines = vec![format!(
        "Imported {}; {} already there.",
        count_of(outcome.stored, "message"),
        if outcome.present == 1 { "1 was".into() } else { format!("{} were", outcome.present) },
    )];
    if outcome.expunged > 0 {
        lines.push(format!(
            "Not imported, because they were imported before and deleted since: {}. With \
             --restore they are imported again.",
            outcome.expunged
        ));
    }
    if report.deleted_in_source > 0 {
        lines.push(format!("Deleted in Thunderbird already: {}.", report.deleted_in_source));
    }
    if outcome.without_keywords > 0 {
        lines.push(format!(
            "Without some of their keywords, which are too many or not allowed: {}.",
            outcome.without_keywords
        ));
    }
    lines.extend(left_out_lines("Ignored", &report.ignored));
    lines.extend(left_out_lines("Not imported", &report.left_out));
    lines
}

fn left_out_lines(title: &str, left_out: &LeftOut) -> Vec<String> {
    if left_out.count == 0 {
        return Vec::new();
    }
    let mut lines = vec![format!("{title}: {}.", left_out.count)];
    lines.extend(left_out.lines());
    lines
}

/// A progress function for every message, which reports at most every [`REPORT_EVERY`].
pub(super) fn paced(on_progress: OnProgress) -> impl Fn(&'static str, u64, u64) + Send + Sync {
    let last = Mutex::new(None::<Instant>);
    move |step, done, total| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            *last = Some(Instant::now());
            on_progress(step, done, total);
        }
    }
}
