//! `docs/protocol.md` is complete and its examples are valid messages.

use crate::page::{Block, Page, root};
use homelab_deploy::protocol::{
    Action, BuildReport, BuildRequest, BuildStatus, ComponentState, DEPLOY_TEMPLATES, DISCOVER, DeployReport,
    DeployRequest, EngineKind, ErrorCode, KEY_HEADER, LogLine, OnFailure, PRESENCE, PhaseName, PhaseState,
    Presence, Purpose, Query, QueryKind, QueryReply, RolloutCommand, RolloutControl, RolloutState,
    RolloutStatus, SIGNATURE_HEADER, Status,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs;
use strum::VariantArray as _;

const PAGE: &str = "docs/protocol.md";

/// What an example reads as, written again: fields that the type does not know are gone.
fn parsed(kind: &str, payload: &[u8]) -> Result<Vec<u8>, String> {
    let error = |error: homelab_deploy::protocol::WireError| error.to_string();
    match kind {
        "request" => {
            DeployRequest::parse(payload).map(|request| request.encode()).map_err(|error| error.message)
        }
        "report" => DeployReport::parse(payload).map(|report| report.encode()).map_err(error),
        "log" => LogLine::parse(payload).map(|line| line.encode()).map_err(error),
        "query" => Query::parse(payload).map(|query| query.encode()).map_err(error),
        "reply" => QueryReply::parse(payload).map(|reply| reply.encode()).map_err(error),
        "presence" => Presence::parse(payload).map(|presence| presence.encode()).map_err(error),
        "build-request" => BuildRequest::parse(payload).map(|request| request.encode()).map_err(error),
        "build-report" => BuildReport::parse(payload).map(|report| report.encode()).map_err(error),
        "rollout-status" => RolloutStatus::parse(payload).map(|status| status.encode()).map_err(error),
        "rollout-command" => RolloutControl::parse(payload).map(|control| control.encode()).map_err(error),
        other => Err(format!("unknown kind of message {other:?}")),
    }
}

/// Why an example is not a complete and valid message.
fn problem(kind: &str, text: &str) -> Option<String> {
    let written = match parsed(kind, text.as_bytes()) {
        Ok(written) => written,
        Err(error) => return Some(format!("{error}\n{text}")),
    };
    let (shown, written): (Value, Value) =
        (serde_json::from_str(text).unwrap(), serde_json::from_slice(&written).unwrap());
    difference("", &shown, &written)
}

/// The first value of `shown` that is not in `written`.
fn difference(path: &str, shown: &Value, written: &Value) -> Option<String> {
    match (shown, written) {
        (Value::Object(shown), Value::Object(written)) => shown.iter().find_map(|(field, value)| {
            let path = format!("{path}.{field}");
            match written.get(field) {
                Some(written) => difference(&path, value, written),
                None => Some(format!("{path} is not a field of this message")),
            }
        }),
        (Value::Array(shown), Value::Array(written)) if shown.len() == written.len() => {
            let mut pairs = shown.iter().zip(written).enumerate();
            pairs.find_map(|(at, (shown, written))| difference(&format!("{path}[{at}]"), shown, written))
        }
        _ => (shown != written).then(|| format!("{path} is {shown} and reads as {written}")),
    }
}

/// The examples of the page, each with the kind that its fence names.
fn examples(blocks: &[Block]) -> Vec<(&str, String)> {
    let json = |block: &Block| block.info.as_deref().is_some_and(|info| info.starts_with("json"));
    let kind = |block: &'_ Block| block.info.as_deref().unwrap().trim_start_matches("json").trim().to_owned();
    for block in blocks.iter().filter(|block| json(block)) {
        assert!(!kind(block).is_empty(), "no kind of message in the fence of\n{}", block.text());
    }
    blocks
        .iter()
        .filter(|block| json(block))
        .map(|block| (block.info.as_deref().unwrap().trim_start_matches("json").trim(), block.text()))
        .collect()
}

/// The first column of the table below a heading.
fn named<'a>(text: &'a str, heading: &str) -> BTreeSet<&'a str> {
    let section = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}")).1;
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.split('`').nth(1).unwrap()).collect()
}

fn names<T: AsRef<str>>(all: &[T]) -> BTreeSet<&str> {
    all.iter().map(AsRef::as_ref).collect()
}

#[test]
fn every_example_is_a_valid_message() {
    let (_, blocks) = Page::read(PAGE).parts();
    let examples = examples(&blocks);
    for (kind, text) in &examples {
        assert_eq!(problem(kind, text), None, "{PAGE}, {kind}");
    }
    let kinds: BTreeSet<_> = examples.iter().map(|(kind, _)| *kind).collect();
    let all = [
        "build-report",
        "build-request",
        "log",
        "presence",
        "query",
        "reply",
        "report",
        "request",
        "rollout-command",
        "rollout-status",
    ];
    assert_eq!(kinds, all.into(), "the page has an example of each message");
}

#[test]
fn an_invalid_example_is_found() {
    for (kind, text, expected) in [
        ("report", "{\"hostname\": \"web1\"}", "status"),
        (
            "report",
            "{\"hostname\": \"web1\", \"status\": \"failed\", \"colour\": 1}",
            ".colour is not a field",
        ),
        ("query", "{\"reply_to\": \"nowhere\"}", "nowhere"),
        ("letter", "{}", "unknown kind"),
    ] {
        let problem = problem(kind, text).unwrap_or_default();
        assert!(problem.contains(expected), "{kind} {text}: {problem}");
    }
}

#[test]
fn every_value_is_named() {
    let page = Page::read(PAGE).text;
    assert_eq!(named(&page, "## Error codes"), names(ErrorCode::ALL));
    assert_eq!(named(&page, "### Actions"), names(Action::ALL));
    assert_eq!(named(&page, "### Status"), names(Status::ALL));
    assert_eq!(named(&page, "### Phases"), names(PhaseName::ALL));
    assert_eq!(named(&page, "### Components"), names(ComponentState::ALL));
    assert_eq!(named(&page, "### Rollout states"), names(RolloutState::ALL));
    let other = [
        names(PhaseState::ALL),
        names(BuildStatus::ALL),
        names(QueryKind::ALL),
        names(OnFailure::ALL),
        names(EngineKind::ALL),
        names(RolloutCommand::ALL),
        Purpose::VARIANTS.iter().map(|purpose| purpose.as_str()).collect(),
        DEPLOY_TEMPLATES.into(),
        [DISCOVER, PRESENCE, KEY_HEADER, SIGNATURE_HEADER].into(),
    ];
    for value in other.into_iter().flatten() {
        assert!(page.contains(&format!("`{value}`")), "{PAGE} does not name `{value}`");
    }
}

/// The fields of a message with every field set, from the structs in `src/protocol`.
fn fields_of(file: &str, name: &str) -> BTreeSet<String> {
    let source = fs::read_to_string(root().join("src/protocol").join(file)).unwrap();
    let body = source.split_once(&format!("pub struct {name} {{\n")).unwrap_or_else(|| panic!("no {name}")).1;
    let lines = body.lines().take_while(|line| *line != "}");
    let fields = lines.filter_map(|line| line.trim().strip_prefix("pub "));
    fields.map(|field| field.split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn every_field_is_described() {
    let page = Page::read(PAGE).text;
    for (heading, file, name, within) in [
        ("## Deploy request", "request.rs", "DeployRequest", ""),
        ("## Report", "report.rs", "DeployReport", ""),
        ("## Log line", "log_line.rs", "LogLine", ""),
        ("## Query", "query.rs", "Query", ""),
        ("### Job", "reply.rs", "JobReply", ""),
        ("### History", "reply.rs", "HistoryReply", ""),
        ("### History", "reply.rs", "HistoryEntry", "entries[]."),
        ("### Log", "reply.rs", "LogReply", ""),
        ("## Rollout status", "rollout.rs", "RolloutStatus", ""),
        ("## Rollout command", "rollout.rs", "RolloutControl", ""),
        ("## Build request", "build.rs", "BuildRequest", ""),
        ("## Build report", "build.rs", "BuildReport", ""),
        ("## Build report", "build.rs", "BuildHost", "hosts[]."),
    ] {
        let section = page.split_once(&format!("\n{heading}\n")).unwrap().1.split("\n#").next().unwrap();
        let rows: String = section.lines().filter(|line| line.starts_with("| `")).collect();
        for field in fields_of(file, name) {
            assert!(
                rows.contains(&format!("`{within}{field}`")),
                "{heading} does not describe {within}{field}"
            );
        }
    }
    // A reply has two fields more than an announcement.
    let presence: String = ["## Presence", "### Host"]
        .iter()
        .map(|heading| page.split_once(&format!("\n{heading}\n")).unwrap().1.split("\n#").next().unwrap())
        .collect();
    for field in fields_of("presence.rs", "Presence") {
        assert!(presence.contains(&format!("`{field}`")), "the page does not describe {field} of presence");
    }
    let report = page.split_once("\n## Report\n").unwrap().1.split("\n#").next().unwrap().to_owned();
    for (file, name) in [
        ("report.rs", "Progress"),
        ("report.rs", "Changes"),
        ("phases.rs", "Phase"),
        ("components.rs", "Component"),
    ] {
        for field in fields_of(file, name) {
            assert!(report.contains(&format!("`{field}`")), "the report does not describe {field} of {name}");
        }
    }
}

#[test]
fn a_difference_is_found_at_any_depth() {
    let of = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let written = of("{\"a\": [{\"b\": 1}], \"more\": 2}");
    assert_eq!(difference("", &of("{\"a\": [{\"b\": 1}]}"), &written), None);
    assert_eq!(
        difference("", &of("{\"a\": [{\"b\": 2}]}"), &written).as_deref(),
        Some(".a[0].b is 2 and reads as 1")
    );
    assert!(difference("", &of("{\"a\": []}"), &written).is_some());
    assert!(difference("", &of("{\"c\": 1}"), &Value::Object(Map::new())).is_some());
}
