//! All that a host tells of itself.

use super::{INDENT, Row};
use crate::fleet::{Host, words};
use crate::protocol::{Action, HostAnswer, printable};
use crate::tui::{App, Tone, text};
use jiff::fmt::strtime;

/// The columns of the labels.
const LABEL: usize = 12;

pub(super) fn rows(app: &App, host: &Host, columns: usize) -> Vec<Row> {
    let mut rows: Vec<_> = Row::heading("Host", Vec::new()).into();
    let Some(answer) = host.answer.as_deref() else {
        rows.extend(Row::wrapped(Tone::Dim, "it has told nothing of itself yet", columns));
        return rows;
    };
    for (label, value) in facts(app, answer) {
        let room = columns.saturating_sub(INDENT + LABEL);
        for (n, line) in text::wrap(&value, room).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            rows.push(Row::of(vec![Tone::Dim.text(format!("{label:<LABEL$}")), Tone::Plain.text(line)]));
        }
    }
    if answer.instance.is_none() {
        rows.extend(Row::wrapped(
            Tone::Dim,
            "its listener speaks the base format and tells no more",
            columns,
        ));
    }
    rows
}

fn facts(app: &App, answer: &HostAnswer) -> Vec<(&'static str, String)> {
    let shown = |text: Option<&str>| text.map(printable);
    let all = |texts: Vec<&str>| Some(printable(&texts.join(", "))).filter(|text| !text.is_empty());
    let role = answer.role.as_ref().map(|role| format!(", role {role}")).unwrap_or_default();
    let free = |what: &str, bytes: Option<u64>| bytes.map(|bytes| format!("{what} {}", words::size(bytes)));
    let free = [free("nix store", answer.nix_free_bytes), free("/boot", answer.boot_free_bytes)];
    let free: Vec<_> = free.into_iter().flatten().collect();
    let interval = answer.interval_s.filter(|seconds| *seconds > 0);
    let listener = answer.version.as_deref().map(|version| {
        let interval =
            interval.map(|seconds| format!(", tells of itself every {seconds} s")).unwrap_or_default();
        format!("version {}{interval}", printable(version))
    });
    let facts = [
        ("tier", Some(format!("{}{role}", answer.tier))),
        ("revision", shown(answer.revision.as_deref())),
        ("commit", shown(answer.commit.as_deref())),
        ("generation", answer.generation.map(|generation| generation.to_string())),
        ("system", shown(answer.system.as_deref())),
        ("booted", booted(answer)),
        ("reboot", reboot(answer).map(str::to_owned)),
        ("booted at", boot_time(app, answer)),
        ("os", shown(answer.os_version.as_deref())),
        ("free", Some(free.join(", ")).filter(|text| !text.is_empty())),
        ("held", shown(answer.held.as_deref())),
        ("flake", shown(answer.flake_url.as_deref())),
        ("listener", listener),
        ("instance", shown(answer.instance.as_deref())),
        ("listens on", all(answer.deploy_subjects.iter().map(String::as_str).collect())),
        ("also can", all(answer.capabilities.iter().map(Action::as_str).collect())),
    ];
    facts.into_iter().filter_map(|(label, value)| Some((label, value?))).collect()
}

fn booted(answer: &HostAnswer) -> Option<String> {
    let booted = answer.booted_system.as_deref()?;
    let same = answer.system.as_deref() == Some(booted);
    Some(if same { "the same system".to_owned() } else { printable(booted) })
}

/// Whether a reboot is needed, and why.
fn reboot(answer: &HostAnswer) -> Option<&'static str> {
    let differ = answer.booted_system.is_some() && answer.booted_system != answer.system;
    Some(match (answer.reboot_needed?, differ) {
        (true, _) => "needed: kernel, initrd or kernel modules are not those that were booted",
        (false, true) => "not needed: kernel, initrd and kernel modules are those that were booted",
        (false, false) => "not needed",
    })
}

/// By the host's own clock.
fn boot_time(app: &App, answer: &HostAnswer) -> Option<String> {
    let at = answer.boot_at?;
    let time = strtime::format("%Y-%m-%d %H:%M", &at.to_zoned(app.options.zone.clone())).ok()?;
    Some(format!("{time}, {} ago", words::age(at, app.now)))
}
