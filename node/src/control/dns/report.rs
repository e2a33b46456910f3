//! The responses of the `dns` commands, for people and for programs.

use freehold_dns::{
    Comparison, Data, Domain, Plan, Record, State, panel_value, relative, zone_file,
};
use serde_json::{Value, json};

use super::Response;

/// The records, one by one for a provider's panel, or as a zone file.
pub(super) fn show(domain: &Domain, is_zone_file: bool) -> Response {
    let wanted = domain.records();
    let records: Vec<Record> = wanted.iter().map(|wanted| wanted.record.clone()).collect();
    let text = match is_zone_file {
        true => zone_file(&domain.name, &records),
        false => {
            let lines = wanted.iter().map(|wanted| {
                let importance = if wanted.is_required { "" } else { " Optional." };
                format!("{}{importance}\n{}", wanted.purpose, for_panel(domain, &wanted.record))
            });
            let lines: Vec<String> = lines.collect();
            format!(
                "{}Add these records to the DNS of {}. A name is as most providers' forms want \
                 it, @ is the domain itself.\n\n{}\n\nBesides, the provider of your machine sets \
                 the name of its address (reverse DNS) to {}.",
                no_address(domain),
                domain.name,
                lines.join("\n\n"),
                domain.host
            )
        }
    };
    let zone = zone_file(&domain.name, &records);
    Response::text(text.trim_end()).with(json!({
        "domain": domain.name,
        "host": domain.host,
        "addresses": domain.addresses,
        "records": wanted,
        "zone": zone,
    }))
}

/// A record as the fields of a form.
fn for_panel(domain: &Domain, record: &Record) -> String {
    let (priority, value) = panel_value(&record.data);
    let priority = priority.map(|priority| format!("  priority {priority}")).unwrap_or_default();
    let name = relative(&domain.name, &record.name);
    format!("  {}  {name}{priority}\n  {value}", record.data.kind().name())
}

fn no_address(domain: &Domain) -> &'static str {
    match domain.addresses.is_empty() {
        true => {
            "The public address of your machine is not known, so its records are missing below: \
             name it by --address, or set node.public_addresses.\n\n"
        }
        false => "",
    }
}

/// The records beside those that DNS has. `whole` is false if mail or pages do not work.
pub(super) fn check(
    domain: &Domain,
    comparisons: &[Comparison],
    stale: &[(String, Data)],
) -> Response {
    let mut lines: Vec<String> =
        comparisons.iter().map(|comparison| line(domain, comparison)).collect();
    lines.extend(stale.iter().map(|(name, data)| {
        let name = relative(&domain.name, name);
        format!(
            "wrong    {} {name} {data}: this machine has no such address; remove the record",
            data.kind().name()
        )
    }));
    let wrong = comparisons.iter().filter(|one| is_wrong(one)).count() + stale.len();
    let summary = match wrong {
        0 => "DNS has all that mail and pages need.".to_owned(),
        1 => "One record is missing or wrong.".to_owned(),
        count => format!("{count} records are missing or wrong."),
    };
    let text = format!("{}{}\n\n{summary}", no_address(domain), lines.join("\n"));
    Response::text(text).with(json!({
        "domain": domain.name,
        "ready": wrong == 0 && !domain.addresses.is_empty(),
        "records": comparisons.iter().map(fields).collect::<Vec<Value>>(),
        "stale": stale.iter().map(|(name, data)| json!({ "name": name, "data": data }))
            .collect::<Vec<Value>>(),
    }))
}

fn is_wrong(comparison: &Comparison) -> bool {
    match &comparison.state {
        State::Right => false,
        State::Missing => comparison.wanted.is_required,
        State::Different(..) => true,
        State::Unanswered(_) => comparison.wanted.is_required,
    }
}

fn line(domain: &Domain, comparison: &Comparison) -> String {
    let record = &comparison.wanted.record;
    let name = format!("{} {}", record.data.kind().name(), relative(&domain.name, &record.name));
    match &comparison.state {
        State::Right => format!("right    {name}"),
        State::Missing if comparison.wanted.is_required => {
            format!("missing  {name} {}", record.data)
        }
        State::Missing => format!("optional {name} {}", record.data),
        State::Different(found, reason) => {
            format!("wrong    {name} {}: {reason}; it should be {}", values(found), record.data)
        }
        State::Unanswered(cause) => format!("unknown  {name}: {cause}"),
    }
}

fn values(found: &[Data]) -> String {
    let values: Vec<String> = found.iter().map(Data::to_string).collect();
    values.join(", ")
}

fn fields(comparison: &Comparison) -> Value {
    let (state, found, reason) = match &comparison.state {
        State::Right => ("right", &[][..], ""),
        State::Missing => ("missing", &[][..], ""),
        State::Different(found, reason) => ("different", found.as_slice(), *reason),
        State::Unanswered(cause) => ("unanswered", &[][..], cause.as_str()),
    };
    json!({
        "wanted": comparison.wanted,
        "state": state,
        "found": found,
        "reason": reason,
    })
}

/// The changes of the zone, made or to be made.
pub(super) fn written(domain: &Domain, plan: &Plan, is_dry: bool) -> Response {
    let of = |record: &Record| {
        let name = relative(&domain.name, &record.name);
        format!("{} {name} {}", record.data.kind().name(), record.data)
    };
    let (removed, added) = match is_dry {
        true => ("would be removed", "would be added"),
        false => ("removed", "added"),
    };
    let mut lines: Vec<String> = Vec::new();
    lines.extend(plan.remove.iter().map(|record| format!("{removed}  {}", of(record))));
    lines.extend(plan.add.iter().map(|record| format!("{added}  {}", of(record))));
    lines.extend(plan.conflicts.iter().map(|(wanted, found, reason)| {
        format!("left as it is  {}: {reason}; wanted is {}", values(found), of(wanted))
    }));
    if !plan.conflicts.is_empty() {
        lines.push("\nWith --replace, the records of this node take their place.".to_owned());
    }
    if lines.is_empty() {
        lines.push("The zone has all records already; nothing was changed.".to_owned());
    }
    Response::text(lines.join("\n")).with(json!({
        "added": plan.add,
        "removed": plan.remove,
        "left": plan.conflicts.iter().map(|(wanted, found, reason)| {
            json!({ "wanted": wanted, "found": found, "reason": reason })
        }).collect::<Vec<Value>>(),
        "written": !is_dry,
    }))
}
