//! The facts that a host reports about itself.

use super::{HostLine, INDENT};
use crate::fleet::Host;
use crate::protocol::{Action, InternedStr, Presence};
use crate::text::{format, printable};
use crate::tui::{App, Tone, text};
use jiff::fmt::strtime;
use ratatui::text::Line;

/// Width of the labels.
const LABEL: usize = 12;

pub(super) fn rows(app: &App, host: &Host, columns: usize) -> Vec<HostLine> {
    let theme = &app.options.theme;
    let mut rows: Vec<_> = HostLine::heading(theme, "Host", Line::default()).into();
    let Some(answer) = host.answer.as_deref() else {
        rows.extend(HostLine::wrapped(theme, Tone::Dim, "this host has not announced itself yet", columns));
        return rows;
    };
    for (label, value) in facts(app, answer) {
        let available = columns.saturating_sub(INDENT + LABEL);
        for (n, line) in text::wrap(&value, available).into_iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            let label = theme.span(Tone::Dim, format!("{label:<LABEL$}"));
            rows.push(HostLine::of(label + theme.span(Tone::Plain, line)));
        }
    }
    if answer.instance.is_none() {
        rows.extend(HostLine::wrapped(
            theme,
            Tone::Dim,
            "the listener uses the base format, which has no more details",
            columns,
        ));
    }
    rows
}

fn facts(app: &App, answer: &Presence) -> Vec<(&'static str, String)> {
    let shown = |text: Option<&str>| text.map(printable);
    let all = |texts: Vec<&str>| Some(printable(&texts.join(", "))).filter(|text| !text.is_empty());
    let role = answer.role.as_ref().map(|role| format!(", role {role}")).unwrap_or_default();
    let free = |what: &str, bytes: Option<u64>| bytes.map(|bytes| format!("{what} {}", format::size(bytes)));
    let free = [free("nix store", answer.nix_free_bytes), free("/boot", answer.boot_free_bytes)];
    let free: Vec<_> = free.into_iter().flatten().collect();
    let interval = answer.interval_s.filter(|seconds| *seconds > 0);
    let listener = answer.version.as_deref().map(|version| {
        let interval =
            interval.map(|seconds| format!(", announces itself every {seconds} s")).unwrap_or_default();
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
        (if answer.is_compose() { "repository" } else { "flake" }, shown(answer.flake_url.as_deref())),
        ("listener", listener),
        ("instance", shown(answer.instance.as_deref())),
        ("listens on", all(answer.deploy_subjects.iter().map(InternedStr::as_str).collect())),
        ("supports", all(answer.capabilities.iter().map(Action::as_str).collect())),
    ];
    facts.into_iter().filter_map(|(label, value)| Some((label, value?))).collect()
}

fn booted(answer: &Presence) -> Option<String> {
    let booted = answer.booted_system.as_deref()?;
    let same = answer.system.as_deref() == Some(booted);
    Some(if same { "the same system".to_owned() } else { printable(booted) })
}

/// Whether a reboot is needed, and why.
fn reboot(answer: &Presence) -> Option<&'static str> {
    let differ = answer.booted_system.is_some() && answer.booted_system != answer.system;
    Some(match (answer.reboot_needed?, differ) {
        (true, _) => "needed: kernel, initrd or kernel modules have changed since boot",
        (false, true) => "not needed: kernel, initrd and kernel modules have not changed since boot",
        (false, false) => "not needed",
    })
}

/// Boot time and its age, by the clock of the host.
fn boot_time(app: &App, answer: &Presence) -> Option<String> {
    let at = answer.booted_at?;
    let time = strtime::format("%Y-%m-%d %H:%M", &at.to_zoned(app.options.zone.clone())).ok()?;
    Some(format!("{time}, {} ago", format::age(at, app.now)))
}
