//! The keys that sign mail (DKIM), by command.

use anyhow::Result;
use freehold_core::domain_name;
use freehold_core::mta_sts::{Mode, Policy};
use freehold_mail::dkim::{self, DkimRecord};
use serde_json::json;

use super::Response;
use super::execute::{ControlContext, invalid};

/// The DNS records, and which of them DNS has.
pub(super) async fn show(context: &ControlContext) -> Result<Response> {
    let records = dkim::records(&context.node, Some(&context.mail)).await.map_err(invalid)?;
    with_mta_sts(context, response("", &records), &records)
}

/// Adds the record of the domain's MTA-STS policy (RFC 8461 3.1).
fn with_mta_sts(
    context: &ControlContext,
    response: Response,
    records: &[DkimRecord],
) -> Result<Response> {
    let mode = context.mail.mta_sts.into();
    if records.is_empty() || mode == Mode::None {
        return Ok(response);
    }
    let domain = context.owner()?.domain;
    let host = Some(context.mail.hostname.as_str()).filter(|host| !host.is_empty());
    let value = Policy::own(mode, host.unwrap_or(&domain)).record();
    let ascii = domain_name::ascii(&domain).unwrap_or_default();
    let name = format!("_mta-sts.{ascii}");
    let text = format!(
        "{}\n\nOthers send to you over verified TLS (MTA-STS) if the host mta-sts.{ascii} also \
         leads to this node's web port, with a certificate for that name, and with this record:\n\n\
         {name}. TXT\n{value}",
        response.text
    );
    let mut fields = response.value;
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("mta_sts".to_owned(), json!({ "name": name, "value": value }));
    }
    Ok(Response::text(text).with(fields))
}

/// Makes new keys and shows all records.
pub(super) async fn rotate(context: &ControlContext) -> Result<Response> {
    let records = dkim::records(&context.node, None).await.map_err(invalid)?;
    if records.is_empty() {
        return Ok(response("", &records));
    }
    dkim::rotate(&context.node).await.map_err(invalid)?;
    let records = dkim::records(&context.node, Some(&context.mail)).await.map_err(invalid)?;
    Ok(response("New keys were made. They sign once their records are in DNS.\n\n", &records))
}

fn response(begin: &str, records: &[DkimRecord]) -> Response {
    let state = |record: &DkimRecord| match record.is_published {
        Some(true) => "in DNS",
        Some(false) => "not in DNS",
        None => "DNS did not answer",
    };
    let line = |record: &DkimRecord| {
        format!("{}. TXT ({})\n{}\n", record.name, state(record), record.value)
    };
    let fields: Vec<_> = records
        .iter()
        .map(|record| {
            json!({
                "name": record.name,
                "value": record.value,
                "published": record.is_published,
            })
        })
        .collect();
    let text = match records.is_empty() {
        true => "Your domain is not a public one, so mail is not signed.".to_owned(),
        false => {
            let lines: Vec<String> = records.iter().map(line).collect();
            format!(
                "{begin}Publish these records in your domain's DNS. The newest that DNS has sign \
                 your mail.\n\n{}",
                lines.join("\n")
            )
        }
    };
    Response::text(text.trim_end()).with(json!({ "records": fields }))
}
