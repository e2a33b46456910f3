//! The owner's rules for new messages.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use freehold_core::mailbox::{
    self, Folder, FolderId, Rule, RuleError, RuleId, add_rule, remove_rule,
};
use serde::Deserialize;

use crate::done::Done;
use crate::fault::Fault;
use crate::layout::Layout;
use crate::problem::Problem;
use crate::response::{self, PageResult};
use crate::routes::{Access, Routes};
use crate::site::Site;
use crate::viewer::Owner;

const PAGE: &str = "/home/mail/rules";

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/home/mail/rules", Access::Owner, show)
        .post("/home/mail/rules", Access::Owner, add)
        .post("/home/mail/rules/{id}/remove", Access::Owner, remove)
}

/// A rule in words.
struct Row {
    id: u32,
    conditions: String,
    actions: String,
}

#[derive(Template)]
#[template(path = "mailbox/rules.html")]
struct RulesPage {
    page: Layout,
    rows: Vec<Row>,
    /// The folders to choose from: number and title.
    folders: Vec<(u32, String)>,
    form: RuleForm,
    fault: Option<Fault>,
}

impl RulesPage {
    fn fault_of(&self, field: &str) -> Option<&str> {
        Fault::of(self.fault.as_ref(), field)
    }
}

#[derive(Default, Deserialize)]
struct RuleForm {
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    list: String,
    /// In KiB; empty for any length.
    #[serde(default)]
    larger: String,
    /// Not empty if it must have a file.
    #[serde(default)]
    file: String,
    /// Not empty if it must be a friend's.
    #[serde(default)]
    friend: String,
    /// The number of the folder; empty for none.
    #[serde(default)]
    folder: String,
    #[serde(default)]
    flagged: String,
    #[serde(default)]
    seen: String,
    #[serde(default)]
    refused: String,
}

impl RuleForm {
    fn rule(&self) -> Result<Rule, Fault> {
        let text = |text: &str| text.trim().to_owned();
        let larger = match self.larger.trim() {
            "" => 0,
            number => number
                .parse()
                .map_err(|_| Fault::new("larger", "That is no number of KiB, as 500."))?,
        };
        Ok(Rule {
            from: text(&self.from),
            to: text(&self.to),
            subject: text(&self.subject),
            list: text(&self.list),
            larger_than_kib: larger,
            has_file: !self.file.is_empty(),
            is_of_friend: !self.friend.is_empty(),
            folder: self.folder.parse().ok().map(FolderId),
            is_flagged: !self.flagged.is_empty(),
            is_seen: !self.seen.is_empty(),
            is_refused: !self.refused.is_empty(),
        })
    }
}

fn page(site: &Site, form: RuleForm, fault: Option<Fault>) -> Result<RulesPage, Problem> {
    let folders = mailbox::folders(&site.node)?;
    let row = |(id, rule): &(RuleId, Rule)| Row {
        id: id.0,
        conditions: conditions(rule),
        actions: actions(rule, &folders),
    };
    Ok(RulesPage {
        page: site.owner_layout("Rules for letters", "Mail")?,
        rows: mailbox::rules(&site.node)?.iter().map(row).collect(),
        folders: folders.iter().map(|folder| (folder.id.0, folder.title().to_owned())).collect(),
        form,
        fault,
    })
}

fn conditions(rule: &Rule) -> String {
    let mut parts = Vec::new();
    for (text, name) in [
        (&rule.from, "from"),
        (&rule.to, "to"),
        (&rule.subject, "with the subject"),
        (&rule.list, "of the list"),
    ] {
        if !text.is_empty() {
            parts.push(format!("{name} “{text}”"));
        }
    }
    if rule.larger_than_kib > 0 {
        parts.push(format!("larger than {} KiB", rule.larger_than_kib));
    }
    if rule.has_file {
        parts.push("with a file".to_owned());
    }
    if rule.is_of_friend {
        parts.push("of a friend’s house".to_owned());
    }
    format!("Letters {}", parts.join(", "))
}

fn actions(rule: &Rule, folders: &[Folder]) -> String {
    let mut parts = Vec::new();
    if let Some(id) = rule.folder {
        let folder = folders.iter().find(|folder| folder.id == id);
        parts.push(match folder {
            Some(folder) => format!("go to {}", folder.title()),
            None => "stay in the inbox, as their folder is gone".to_owned(),
        });
    }
    if rule.is_flagged {
        parts.push("are marked".to_owned());
    }
    if rule.is_seen {
        parts.push("count as read".to_owned());
    }
    if rule.is_refused {
        parts.push("are turned away".to_owned());
    }
    format!("{}.", parts.join(", "))
}

async fn show(State(site): State<Site>, _: Owner, done: Done) -> PageResult {
    let shown = page(&site, RuleForm::default(), None)?;
    response::page(&RulesPage { page: shown.page.saying(done), ..shown })
}

async fn add(State(site): State<Site>, _: Owner, Form(form): Form<RuleForm>) -> PageResult {
    let added = match form.rule() {
        Ok(rule) => add_rule(&site.node, rule).await,
        Err(fault) => return send_back(&site, form, fault),
    };
    let fault = match added {
        Ok(_) => return Ok(response::see_other(&Done::RuleMade.at(PAGE))),
        Err(RuleError::Store(error)) => return Err(error.into()),
        Err(RuleError::NoCondition) => {
            Fault::new("from", "Say which letters: all of these fields are empty.")
        }
        Err(RuleError::NoAction) => Fault::new("folder", "Say what happens to them."),
        Err(RuleError::TooLong(_)) => Fault::new("from", "One of these is too long."),
        Err(RuleError::NoSuchFolder) => Fault::new("folder", "That folder is gone."),
        Err(RuleError::TooMany) => {
            Fault::new("from", "There is no room for more rules. Remove some first.")
        }
    };
    send_back(&site, form, fault)
}

fn send_back(site: &Site, form: RuleForm, fault: Fault) -> PageResult {
    let page = page(site, form, Some(fault))?;
    response::page_with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn remove(State(site): State<Site>, _: Owner, Path(id): Path<u32>) -> PageResult {
    remove_rule(&site.node, RuleId(id)).await?;
    Ok(response::see_other(&Done::RuleRemoved.at(PAGE)))
}
