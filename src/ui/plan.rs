//! A plan for eyes: what would happen, on which devices, at what price.

use super::style::{BAD, DIM, STRONG, fit, paint};
use crate::model::device::Os;
use crate::plan::Plan;
use crate::plan::price::REQUESTS_A_MINUTE;
use crate::playbook::frame::Frame;
use crate::playbook::{Part, Playbook, Step};
use crate::text::escape::Escaped;
use crate::text::words::Count;
use std::collections::BTreeMap;

/// More devices than these are in `--json`, not on the screen.
const MOST_DEVICES: usize = 12;

/// Draws a plan on `width` columns.
pub fn draw(plan: &Plan, width: usize) -> String {
    let mut out = String::new();
    let playbook = &plan.playbook;
    put!(out, "{STRONG}{}{STRONG:#}", Escaped(&playbook.name));
    if let Some(description) = &playbook.description {
        put!(out, "{}", fit(&Escaped(description).to_string(), width));
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
    devices(plan, &mut out);
    put!(out, "\n{STRONG}steps{STRONG:#}");
    let last = playbook
        .steps
        .iter()
        .position(|step| playbook.is_last(step));
    for (index, step) in playbook.steps.iter().enumerate() {
        if last == Some(index) {
            put!(
                out,
                "\n{STRONG}always{STRONG:#}  {DIM}last, whatever came of the others, also after Ctrl-C{DIM:#}"
            );
        }
        uses(playbook, index, width, &mut out);
        line(plan, index, step, width, &mut out);
    }
    price(plan, &mut out);
    put!(out, "sha256   {}", plan.sha256);
    out
}

fn devices(plan: &Plan, out: &mut String) {
    let mut families: BTreeMap<Os, u64> = BTreeMap::new();
    for planned in &plan.devices {
        *families.entry(planned.device.os).or_default() += 1;
    }
    let split: Vec<String> = families.iter().map(|(os, n)| format!("{n} {os}")).collect();
    put!(
        out,
        "\n{STRONG}{}{STRONG:#}  {DIM}{}{DIM:#}",
        Count(plan.devices.len() as u64, "device"),
        split.join(", ")
    );
    for planned in plan.devices.iter().take(MOST_DEVICES) {
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
    if plan.devices.len() > MOST_DEVICES {
        put!(
            out,
            "  {DIM}… and {} more{DIM:#}",
            plan.devices.len() - MOST_DEVICES
        );
    }
}

/// Where the steps of a used playbook begin, and where they have ended.
fn uses(playbook: &Playbook, index: usize, width: usize, out: &mut String) {
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
    if let Some((_, ended)) = before.get(same) {
        put!(
            out,
            "       {DIM}end of {}{DIM:#}",
            Escaped(ended.id.as_str())
        );
    }
    for (_, frame) in &now[same..] {
        let text = format!("{}: {}", frame.id, frame.used.source.name);
        let text = fit(&Escaped(&text).to_string(), width.saturating_sub(11));
        put!(out, "       use {text}");
    }
}

/// A step, and below it its arguments: rendered where all devices agree, else as written.
fn line(plan: &Plan, index: usize, step: &Step, width: usize, out: &mut String) {
    let spec = step.kind.spec();
    let part = match step.place.part {
        Part::Rescue => "rescue: ",
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
    for missing in step.kind.not_built(step.span) {
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
    let least = if total.at_least { "at least " } else { "" };
    put!(
        out,
        "\nprice    {least}{}, {}, {}",
        Count(total.sessions, "session"),
        Count(total.commands, "command"),
        Count(total.requests, "request")
    );
    let mut families: Vec<Os> = plan
        .devices
        .iter()
        .map(|planned| planned.device.os)
        .collect();
    families.sort();
    families.dedup();
    for os in families {
        let one = plan.price_of(os);
        put!(
            out,
            "         {DIM}{os}: {}, {} a device{DIM:#}",
            Count(one.commands, "command"),
            Count(one.requests, "request")
        );
    }
    put!(
        out,
        "         {DIM}about {} at {REQUESTS_A_MINUTE} requests a minute, {} at once{DIM:#}",
        Count(total.minutes(), "minute"),
        Count(plan.settings.max_sessions as u64, "session")
    );
}
