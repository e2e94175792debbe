//! A plan for eyes: what would happen, on which devices, at what price.

use super::style::{BAD, DIM, STRONG, fit, paint};
use crate::plan::Plan;
use crate::plan::price::{Price, REQUESTS_A_MINUTE};
use crate::playbook::frame::Frame;
use crate::playbook::{Part, Playbook, Step};
use crate::text::escape::Escaped;
use crate::text::size::Bytes;
use crate::text::words::{Count, Grouped, List, wrap};

/// More devices than these are told by their names alone.
const MOST_DEVICES: usize = 12;
/// More lines of names than these are in `--json`, not on the screen.
const MOST_LINES: usize = 5;

/// Draws a plan on `width` columns.
pub fn draw(plan: &Plan, width: usize) -> String {
    let mut out = String::new();
    let playbook = &plan.playbook;
    put!(out, "{STRONG}{}{STRONG:#}", Escaped(&playbook.name));
    if let Some(description) = &playbook.description {
        put!(out, "{}", wrap(&Escaped(description).to_string(), width));
    }
    let kind = if plan.backend.simulated {
        "simulated organisation"
    } else {
        "organisation"
    };
    put!(
        out,
        "{DIM}{kind} {} at {}{DIM:#}",
        Escaped(&plan.backend.organisation),
        Escaped(&plan.backend.url)
    );
    devices(plan, width, &mut out);
    put!(out, "\n{STRONG}steps{STRONG:#}");
    let last = playbook
        .steps
        .iter()
        .position(|step| playbook.is_last(step));
    for (index, step) in playbook.steps.iter().enumerate() {
        let (ended, begun) = uses(playbook, index);
        if let Some(ended) = ended {
            let id = Escaped(ended.id.as_str());
            put!(out, "       {DIM}end of {id}{DIM:#}");
        }
        if last == Some(index) {
            put!(
                out,
                "\n{STRONG}always{STRONG:#}  {DIM}last, whatever came of the others, also after Ctrl-C{DIM:#}"
            );
        }
        for frame in begun {
            let text = format!("{}: {}", frame.id, frame.used.source.name);
            let text = fit(&Escaped(&text).to_string(), width.saturating_sub(11));
            put!(out, "       use {text}");
        }
        line(plan, index, step, width, &mut out);
    }
    price(plan, &mut out);
    sent(plan, width, &mut out);
    put!(out, "sha256   {}", plan.sha256);
    out
}

fn devices(plan: &Plan, width: usize, out: &mut String) {
    let split: Vec<String> = plan
        .families()
        .iter()
        .map(|(os, n)| format!("{n} {os}"))
        .collect();
    put!(
        out,
        "\n{STRONG}{}{STRONG:#}  {DIM}{}{DIM:#}",
        Count(plan.devices.len() as u64, "device"),
        split.join(", ")
    );
    if plan.devices.len() > MOST_DEVICES {
        return many(plan, width, out);
    }
    for planned in &plan.devices {
        let device = &planned.device;
        let gone = planned
            .gone
            .as_ref()
            .map(|cause| format!("  skipped: {}", cause.summary()))
            .unwrap_or_default();
        put!(
            out,
            "  {:<24}  {:<8}  {:>10}{gone}",
            fit(&device.name.to_string(), 24),
            device.os,
            device.id
        );
    }
}

/// The names alone, side by side, in the order in which they start.
fn many(plan: &Plan, width: usize, out: &mut String) {
    let names = plan
        .devices
        .iter()
        .map(|planned| fit(&planned.device.name.to_string(), 24));
    let widest = names
        .clone()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(1);
    let columns = (width.saturating_sub(2) / (widest + 2)).max(1);
    let names: Vec<String> = names.take(columns * MOST_LINES).collect();
    for line in names.chunks(columns) {
        let line: Vec<String> = line.iter().map(|name| format!("{name:<widest$}")).collect();
        put!(out, "  {}", line.join("  ").trim_end());
    }
    let more = plan.devices.len() - names.len();
    if more > 0 {
        put!(out, "  {DIM}… and {more} more; --json has all{DIM:#}");
    }
}

/// The used playbook whose steps have ended before a step, the outermost, and those that begin with it.
fn uses(playbook: &Playbook, index: usize) -> (Option<&Frame>, Vec<&Frame>) {
    let around = |frame| -> Vec<(usize, &Frame)> {
        let mut around: Vec<_> = playbook.frames_around(frame).collect();
        around.reverse();
        around
    };
    let before = index
        .checked_sub(1)
        .map_or(0, |at| playbook.steps[at].frame);
    let (before, now) = (around(before), around(playbook.steps[index].frame));
    let same = before.iter().zip(&now).take_while(|(a, b)| a.0 == b.0);
    let same = same.count();
    let ended = before.get(same).map(|(_, frame)| *frame);
    let begun = now[same..].iter().map(|(_, frame)| *frame);
    (ended, begun.collect())
}

/// A step, and below it its arguments: rendered where all devices agree, else as written.
fn line(plan: &Plan, index: usize, step: &Step, width: usize, out: &mut String) {
    let spec = step.kind.spec();
    let part = match step.place.part {
        Part::Rescue => "rescue: ",
        Part::Verify => "verify: ",
        Part::Always if step.place.block.is_some() => "always: ",
        Part::Main | Part::Always => "",
    };
    let label = format!("{part}{}", Escaped(&step.label));
    let effect = paint(DIM, step.kind.effect(), 8);
    put!(
        out,
        "  {:>3}  {:<15}  {effect}  {}",
        index + 1,
        spec.key,
        fit(&label, width.saturating_sub(35))
    );
    if let Some(cause) = &plan.left_out[index] {
        put!(out, "       {DIM}skipped: {}{DIM:#}", cause.summary());
        return;
    }
    for missing in step.not_built() {
        put!(out, "       {BAD}{}{BAD:#}", missing.message);
    }
    for (nth, (argument, template)) in step.kind.arguments().templates.into_iter().enumerate() {
        let known = plan
            .columns
            .iter()
            .position(|column| column.step == index && column.nth == nth);
        let (text, note) = match known.map(|at| plan.table.iter().map(move |row| row[at].as_str()))
        {
            None if template.is_literal() => (template.text().to_owned(), ""),
            None if step.no_log => (template.text().to_owned(), "  (no_log)"),
            None => (template.text().to_owned(), "  (known during the run)"),
            Some(mut values) => match values.next() {
                Some(first) if values.all(|value| value == first) => (first.to_owned(), ""),
                Some(first) => (first.to_owned(), "  (differs by device)"),
                None => (template.text().to_owned(), ""),
            },
        };
        let room = width.saturating_sub(9 + argument.len() + note.len());
        put!(
            out,
            "       {DIM}{argument}: {}{note}{DIM:#}",
            fit(&Escaped(&text).to_string(), room)
        );
    }
}

fn price(plan: &Plan, out: &mut String) {
    let total = plan.price();
    put!(out, "\neffects  {}", effects(plan));
    let head = [
        "devices", "sessions", "commands", "requests", "files", "at most",
    ];
    row(out, "price", &head.map(str::to_owned));
    for (os, devices) in plan.families() {
        row(
            out,
            &format!("{os}, each"),
            &amounts(devices, plan.price_of(os)),
        );
    }
    row(out, "in all", &amounts(plan.devices.len() as u64, total));
    if total.at_least {
        put!(
            out,
            "{DIM}at least; what the endpoints answer decides how much more{DIM:#}"
        );
    }
    put!(
        out,
        "about {} at {REQUESTS_A_MINUTE} requests a minute, {} at once",
        long(total.minutes()),
        Count(plan.settings.max_sessions as u64, "session")
    );
}

/// The files of ours that the endpoints get.
fn sent(plan: &Plan, width: usize, out: &mut String) {
    for (sha256, asset) in plan.assets.iter() {
        let size = Bytes(asset.content.len() as u64);
        let path = fit(&Escaped(&asset.path).to_string(), width.saturating_sub(20));
        put!(out, "sends    {size:>9}  {path}");
        put!(out, "         {DIM}sha256 {sha256}{DIM:#}");
    }
}

fn row(out: &mut String, label: &str, cells: &[String; 6]) {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>9}")).collect();
    put!(out, "{label:<15}{}", cells.join(" "));
}

fn amounts(devices: u64, price: Price) -> [String; 6] {
    let bytes = match price.most_bytes {
        _ if price.contents == 0 => "-".to_owned(),
        Some(most) => Bytes(most).to_string(),
        None => "any size".to_owned(),
    };
    let [devices, sessions, commands, requests, files] = [
        devices,
        price.sessions,
        price.commands,
        price.requests,
        price.contents,
    ]
    .map(|n| Grouped(n).to_string());
    [devices, sessions, commands, requests, files, bytes]
}

/// What the plan may do to a device, and what its author allowed it.
fn effects(plan: &Plan) -> String {
    let playbook = &plan.playbook;
    let changing = plan.changing().count() as u64;
    let does = match changing {
        0 => "reads only".to_owned(),
        some => format!("{} may change the endpoint", Count(some, "step")),
    };
    format!("{does}; permitted: {}", List::and(&playbook.permissions))
}

/// Minutes, as hours where they are many.
fn long(minutes: u64) -> String {
    match (minutes / 60, minutes % 60) {
        (0 | 1, _) => Count(minutes, "minute").to_string(),
        (hours, 0) => Count(hours, "hour").to_string(),
        (hours, rest) => format!("{} {rest} min", Count(hours, "hour")),
    }
}
