//! `fileRule`: what may run and what may not. The rules are those that EDR bans with, and a rule's number is its
//! place among them.

use super::super::{Problem, orders};
use super::copies::{APPROVED, BANNED, UNAPPROVED, first_of};
use super::fields::{Cell, Column, Field, object};
use super::listing::Listing;
use super::{body, flag, missing};
use crate::sim::app_control::{AppControl, Notes};
use crate::sim::bans::{Decision, Rule, Verdict};
use crate::sim::catalogue::{Catalogue, Hashes};
use crate::sim::world::World;
use crate::wire::{Method, Request, Response};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who decides here, as EDR shows it.
const WHO: &str = "App Control";

struct Row {
    id: u64,
    file: Option<u64>,
    rule: Rule,
    notes: Notes,
    hash: String,
    policies: String,
    created: Timestamp,
    modified: Timestamp,
}

const FIELDS: &[Field<Row>] = &[
    ("id", Column::Number(|r| r.id)),
    ("fileCatalogId", Column::Key(|r| r.file)),
    ("name", Column::Text(|r| &r.notes.name)),
    ("description", Column::Text(|r| &r.rule.text)),
    ("fileState", Column::Number(|r| state(&r.rule, &r.notes))),
    ("sourceType", Column::Always(Cell::Number(5))),
    ("sourceId", Column::Always(Cell::Number(0))),
    ("reportOnly", Column::Flag(Row::only_reports)),
    (
        "reputationApprovalsEnabled",
        Column::Always(Cell::Flag(false)),
    ),
    ("forceInstaller", Column::Always(Cell::Flag(false))),
    ("forceNotInstaller", Column::Always(Cell::Flag(false))),
    ("policyIds", Column::Text(|r| &r.policies)),
    ("hash", Column::Text(|r| &r.hash)),
    ("fileName", Column::Always(Cell::Text(""))),
    ("lazyApproval", Column::Always(Cell::Flag(false))),
    ("platformFlags", Column::Always(Cell::Number(7))),
    ("version", Column::Number(|r| r.rule.audit.len() as u64)),
    ("clVersion", Column::Always(Cell::Number(1000))),
    ("visible", Column::Always(Cell::Flag(true))),
    ("unifiedFlag", Column::Always(Cell::Number(0))),
    ("unifiedSource", Column::Always(Cell::Text(""))),
    ("createdBy", Column::Text(|r| &r.rule.who)),
    ("createdByUserId", Column::Always(Cell::Number(1))),
    ("dateCreated", Column::Date(|r| Some(r.created))),
    ("modifiedBy", Column::Text(Row::modified_by)),
    ("modifiedByUserId", Column::Always(Cell::Number(1))),
    ("dateModified", Column::Date(|r| Some(r.modified))),
];

impl Row {
    /// Not if it was banned elsewhere since.
    fn only_reports(&self) -> bool {
        self.notes.report_only && !self.rule.enabled
    }

    fn modified_by(&self) -> &str {
        let last = self.rule.audit.last();
        last.map_or(self.rule.who.as_str(), |decision| decision.who.as_str())
    }
}

/// What was switched off without being deleted leaves the file unapproved.
fn state(rule: &Rule, notes: &Notes) -> u64 {
    match (rule.enabled || notes.report_only, rule.verdict) {
        (false, _) => UNAPPROVED,
        (true, Verdict::Approved) => APPROVED,
        (true, Verdict::Banned) => BANNED,
    }
}

/// None where nothing is said any more, whatever was said before.
fn verdict(state: u64) -> Option<Verdict> {
    match state {
        BANNED => Some(Verdict::Banned),
        APPROVED => Some(Verdict::Approved),
        _ => None,
    }
}

pub(super) fn all(world: &World, request: &Request) -> Result<Response, Problem> {
    match request.method {
        Method::Get => world.app_control(|kept, catalogue| {
            let listing = Listing::read(FIELDS, &request.query, catalogue.times.now)?;
            let rows = rows(kept, catalogue);
            Ok(Response::json(200, &listing.of(rows.into_values())))
        }),
        Method::Post => make(world, request),
        _ => Err(Problem::wrong_method()),
    }
}

pub(super) fn one(world: &World, request: &Request, id: &str) -> Result<Response, Problem> {
    let wanted = match request.method {
        Method::Put => Some(Wanted::read(world, &body(request)?)?),
        Method::Get | Method::Delete => None,
        Method::Post => return Err(Problem::wrong_method()),
    };
    world.app_control(|kept, catalogue| {
        let found = id.parse().ok().filter(|id| is_there(kept, catalogue, *id));
        let id: u64 = found.ok_or_else(|| missing("file rule", id))?;
        if request.method == Method::Delete {
            let notes = kept.notes_mut(id);
            notes.deleted = true;
            notes.report_only = false;
            write(catalogue, id, |rule| rule.enabled = false);
            return Ok(Response::new(204));
        }
        if let Some(wanted) = wanted {
            wanted.write(kept, catalogue, id);
        }
        shown(200, kept, catalogue, id)
    })
}

fn shown(
    status: u16,
    kept: &mut AppControl,
    catalogue: &mut Catalogue<'_>,
    id: u64,
) -> Result<Response, Problem> {
    let rows = rows(kept, catalogue);
    let row = rows.get(&id).ok_or_else(|| missing("file rule", id))?;
    Ok(Response::json(status, &object(FIELDS, row)))
}

fn is_there(kept: &AppControl, catalogue: &Catalogue<'_>, id: u64) -> bool {
    let rule = place(id).and_then(|at| catalogue.bans.rules().get(at));
    rule.is_some_and(|rule| rule.enabled || !kept.notes(id).deleted)
}

fn place(id: u64) -> Option<usize> {
    usize::try_from(id).ok()?.checked_sub(1)
}

/// By number.
fn rows(kept: &mut AppControl, catalogue: &mut Catalogue<'_>) -> BTreeMap<u64, Row> {
    catalogue.complete_bans();
    let rules = (1..).zip(catalogue.bans.rules());
    rules
        .filter_map(|(id, rule)| {
            let row = |kept: &mut AppControl| (id, row(id, rule, kept, catalogue));
            is_there(kept, catalogue, id).then(|| row(kept))
        })
        .collect()
}

fn row(id: u64, rule: &Rule, kept: &mut AppControl, catalogue: &Catalogue<'_>) -> Row {
    let notes = kept.notes(id);
    let policies: Vec<String> = rule.policies.iter().map(u64::to_string).collect();
    let modified = rule.audit.last().map_or(rule.at, |decision| decision.at);
    Row {
        id,
        // The longest name of a file that was seen is the one by which it has its number.
        file: rule.is_known().then(|| kept.files.of(rule.hash())),
        hash: notes.hash.clone().unwrap_or_else(|| rule.hash().to_owned()),
        policies: if policies.is_empty() {
            "0".to_owned()
        } else {
            policies.join(",")
        },
        created: catalogue.times.at(rule.at),
        modified: catalogue.times.at(modified),
        rule: rule.clone(),
        notes,
    }
}

/// What a client wants of a rule; what it does not say stays.
struct Wanted {
    name: Option<String>,
    description: Option<String>,
    state: Option<u64>,
    policies: Option<Vec<u64>>,
    report_only: Option<bool>,
}

impl Wanted {
    fn read(world: &World, body: &Value) -> Result<Self, Problem> {
        let state = orders::natural(body, "fileState")?;
        if let Some(state) = state.filter(|state| !(UNAPPROVED..=BANNED).contains(state)) {
            return Err(Problem::bad_request(format!("no fileState: {state}")));
        }
        Ok(Self {
            name: orders::text(body, "name")?,
            description: orders::text(body, "description")?,
            state,
            policies: policies(world, body)?,
            report_only: flag(body, "reportOnly")?,
        })
    }

    fn write(self, kept: &mut AppControl, catalogue: &mut Catalogue<'_>, id: u64) {
        let notes = kept.notes_mut(id);
        notes.deleted = false;
        if let Some(name) = self.name {
            notes.name = name;
        }
        let was = place(id).and_then(|at| catalogue.bans.rules().get(at));
        let was = was.map_or(UNAPPROVED, |rule| state(rule, notes));
        let state = self.state.unwrap_or(was);
        let is_report = self.report_only.unwrap_or(notes.report_only);
        notes.report_only = is_report && state == BANNED;
        let enabled = state != UNAPPROVED && !notes.report_only;
        write(catalogue, id, |rule| {
            rule.enabled = enabled;
            rule.verdict = verdict(state).unwrap_or(rule.verdict);
            if let Some(text) = self.description {
                rule.text = text;
            }
            if let Some(policies) = self.policies {
                rule.policies = policies;
            }
        });
    }
}

/// Changes a rule, as a decision of its own.
fn write(catalogue: &mut Catalogue<'_>, id: u64, change: impl FnOnce(&mut Rule)) {
    let at = catalogue.times.elapsed();
    let Some(rule) = place(id).and_then(|place| catalogue.bans.get_mut(place)) else {
        return;
    };
    change(rule);
    let decision = Decision {
        who: WHO.to_owned(),
        at,
        text: rule.text.clone(),
        enabled: rule.enabled,
    };
    rule.decide(decision);
}

/// A list as text, one number, or none; zero among them means all.
fn policies(world: &World, body: &Value) -> Result<Option<Vec<u64>>, Problem> {
    let text = match body.get("policyIds") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err(Problem::bad_request("policyIds is no list as text")),
    };
    let known = world.policies();
    let mut ids = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let id = part.parse().ok();
        let id = id.filter(|id| *id == 0 || known.contains_key(id));
        ids.push(id.ok_or_else(|| Problem::bad_request(format!("there is no policy {part}")))?);
    }
    if ids.contains(&0) {
        ids.clear();
    }
    Ok(Some(ids))
}

fn make(world: &World, request: &Request) -> Result<Response, Problem> {
    let body = body(request)?;
    let wanted = Wanted::read(world, &body)?;
    let state = wanted.state;
    let state = state.ok_or_else(|| Problem::bad_request("fileState is missing"))?;
    let report_only = wanted.report_only == Some(true) && state == BANNED;
    let hash = orders::text(&body, "hash")?.filter(|hash| !hash.is_empty());
    let file = orders::natural(&body, "fileCatalogId")?.filter(|id| *id != 0);
    let by_hash = hash.is_some();
    world.app_control(|kept, catalogue| {
        let (hash, known) = named(hash, file, kept, catalogue)?;
        let decision = Decision {
            who: WHO.to_owned(),
            at: catalogue.times.elapsed(),
            text: wanted.description.unwrap_or_default(),
            enabled: state != UNAPPROVED && !report_only,
        };
        let before = catalogue.bans.find(&hash).map(|rule| rule.verdict);
        let verdict = verdict(state).or(before).unwrap_or(Verdict::Approved);
        let made = (catalogue.bans).set(&hash, known.as_deref(), verdict, decision);
        let name = made.map(|rule| rule.hash().to_owned());
        let name = name.ok_or_else(|| Problem::bad_request(format!("no hash: {hash}")))?;
        let mut rules = (1..).zip(catalogue.bans.rules());
        let id = rules.find(|(_, rule)| rule.hash() == name);
        let id: u64 = id.map_or(0, |(id, _)| id);
        if let Some(rule) = place(id).and_then(|at| catalogue.bans.get_mut(at)) {
            rule.policies = wanted.policies.unwrap_or_default();
        }
        *kept.notes_mut(id) = Notes {
            name: wanted.name.unwrap_or_default(),
            hash: Some(if by_hash { hash } else { String::new() }),
            report_only,
            deleted: false,
        };
        shown(201, kept, catalogue, id)
    })
}

/// A hash, and all of them where the file is known.
fn named(
    hash: Option<String>,
    file: Option<u64>,
    kept: &mut AppControl,
    catalogue: &Catalogue<'_>,
) -> Result<(String, Option<Arc<Hashes>>), Problem> {
    match (hash, file) {
        (Some(hash), _) => {
            let known = catalogue.hashes(&hash);
            Ok((hash, known))
        }
        (None, Some(id)) => {
            let copy = first_of(id, kept, catalogue);
            let copy = copy.ok_or_else(|| Problem::bad_request(format!("no file {id}")))?;
            let hashes = copy.hashes;
            Ok((hashes.sha256.clone(), Some(hashes)))
        }
        (None, None) => {
            let why = "either hash or fileCatalogId says which file";
            Err(Problem::bad_request(why))
        }
    }
}
