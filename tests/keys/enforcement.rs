//! Least privilege, as a real server enforces it: what each credential may do, and what it may not.

use crate::server::{Server, Trial, Verdict, connect_options};
use async_nats::ConnectErrorKind;

/// The trials of one credential.
struct Table {
    publishes: &'static [&'static str],
    publishes_not: &'static [&'static str],
    /// A subject that is subscribed to, and one that matches it.
    hears: &'static [(&'static str, &'static str)],
    hears_not: &'static [(&'static str, &'static str)],
}

async fn hold(entry: &str, table: Table) {
    let mut trial = Trial::of(entry).await;
    for (subjects, verdict) in [(table.publishes, Verdict::Allowed), (table.publishes_not, Verdict::Refused)]
    {
        for &subject in subjects {
            assert_eq!(trial.publish(subject).await, verdict, "{entry} publishes to {subject}");
        }
    }
    for (patterns, verdict) in [(table.hears, Verdict::Allowed), (table.hears_not, Verdict::Refused)] {
        for &(pattern, sample) in patterns {
            let given = trial.subscribe(pattern, sample).await;
            assert_eq!(given, verdict, "{entry} subscribes to {pattern}");
        }
    }
    for inbox in ["_INBOX.abc", "_INBOX.abc.def"] {
        assert_eq!(trial.publish(inbox).await, Verdict::Refused, "{entry} publishes to {inbox}");
    }
    assert_eq!(trial.subscribe("_INBOX.>", "_INBOX.abc").await, Verdict::Refused, "{entry} has an inbox");
}

/// What every operator may hear, and not hear.
const HEARS: &[(&str, &str)] = &[
    ("deploy.responses.>", "deploy.responses.ask.id1"),
    ("deploy.responses.*", "deploy.responses.presence"),
    ("deploy.responses.id1.log.ns1", "deploy.responses.id1.log.ns1"),
    ("build.responses.>", "build.responses.id1"),
];
const HEARS_NOT: &[(&str, &str)] = &[
    (">", "deploy.responses.id1"),
    ("deploy.>", "deploy.responses.id1"),
    ("deploy.prod.ns1", "deploy.prod.ns1"),
    ("deploy.test.>", "deploy.test.www"),
    ("deploy.discover", "deploy.discover"),
    ("build.>", "build.ns1"),
];

#[tokio::test]
async fn a_listener_with_a_role() {
    let table = Table {
        publishes: &[
            "deploy.responses.id1",
            "deploy.responses.presence",
            "deploy.responses.ask.id1",
            "deploy.responses.id1.log.ns1",
        ],
        publishes_not: &[
            "deploy.responses.id1.log.www",
            "deploy.responses.id1.other",
            "deploy.prod.ns1",
            "deploy.prod.all",
            "deploy.test.www",
            "deploy.discover",
            "build.ns1",
            "build.responses.id1",
            "other",
        ],
        hears: &[
            ("deploy.prod.ns1", "deploy.prod.ns1"),
            ("deploy.prod.all", "deploy.prod.all"),
            ("deploy.prod.role.dns", "deploy.prod.role.dns"),
            ("deploy.discover", "deploy.discover"),
        ],
        hears_not: &[
            (">", "deploy.discover"),
            ("deploy.>", "deploy.discover"),
            ("deploy.prod.*", "deploy.prod.ns1"),
            ("deploy.prod.www", "deploy.prod.www"),
            ("deploy.prod.role.web", "deploy.prod.role.web"),
            ("deploy.test.all", "deploy.test.all"),
            ("deploy.responses.>", "deploy.responses.id1"),
            ("deploy.responses.*", "deploy.responses.id1"),
            ("build.>", "build.ns1"),
        ],
    };
    hold("hosts.ns1", table).await;
}

#[tokio::test]
async fn a_listener_without_a_role() {
    let table = Table {
        publishes: &["deploy.responses.id1.log.www"],
        publishes_not: &["deploy.responses.id1.log.ns1", "deploy.test.www"],
        hears: &[("deploy.test.www", "deploy.test.www"), ("deploy.test.all", "deploy.test.all")],
        hears_not: &[
            ("deploy.test.role.dns", "deploy.test.role.dns"),
            ("deploy.test.role.*", "deploy.test.role.dns"),
            ("deploy.test.ns1", "deploy.test.ns1"),
            ("deploy.prod.all", "deploy.prod.all"),
        ],
    };
    hold("hosts.www", table).await;
}

#[tokio::test]
async fn a_deployer() {
    let table = Table {
        publishes: &["deploy.prod.ns1", "deploy.prod.all", "deploy.prod.role.dns", "deploy.discover"],
        publishes_not: &[
            "deploy.test.www",
            "deploy.lab.all",
            "deploy.prod",
            "deploy.responses.id1",
            "deploy.responses.presence",
            "build.ns1",
            "build.all",
            "build.responses.id1",
        ],
        hears: HEARS,
        hears_not: HEARS_NOT,
    };
    hold("operators.alice", table).await;
}

#[tokio::test]
async fn a_deployer_with_builds() {
    let table = Table {
        publishes: &["deploy.test.www", "deploy.lab.all", "deploy.discover", "build.ns1", "build.nixos.all"],
        publishes_not: &["deploy.prod.ns1", "deploy.responses.id1", "build.responses.id1"],
        hears: HEARS,
        hears_not: HEARS_NOT,
    };
    hold("operators.dana", table).await;
}

#[tokio::test]
async fn an_mcp() {
    let table = Table {
        publishes: &["deploy.test.www", "deploy.test.all", "deploy.discover"],
        publishes_not: &[
            "deploy.prod.ns1",
            "deploy.prod.all",
            "deploy.lab.all",
            "deploy.responses.id1",
            "build.all",
            "build.responses.id1",
        ],
        hears: HEARS,
        hears_not: HEARS_NOT,
    };
    hold("operators.robot", table).await;
}

#[tokio::test]
async fn an_mcp_with_builds() {
    let table = Table {
        publishes: &["deploy.test.www", "build.all", "build.nixos.ns1"],
        publishes_not: &["deploy.prod.ns1", "deploy.lab.all", "build.responses.id1"],
        hears: HEARS,
        hears_not: HEARS_NOT,
    };
    hold("operators.tinker", table).await;
}

#[tokio::test]
async fn an_admin() {
    let table = Table {
        publishes: &[
            "deploy.prod.ns1",
            "deploy.test.role.web",
            "deploy.lab.all",
            "deploy.discover",
            "build.all",
            "build.nixos.ns1",
        ],
        publishes_not: &[
            "deploy.elsewhere.all",
            "deploy.responses.id1",
            "deploy.responses.ask.id1",
            "build.responses.id1",
        ],
        hears: HEARS,
        hears_not: HEARS_NOT,
    };
    hold("operators.root", table).await;
}

#[tokio::test]
async fn a_viewer() {
    let table = Table {
        publishes: &["deploy.discover"],
        publishes_not: &[
            "deploy.prod.ns1",
            "deploy.test.all",
            "deploy.responses.id1",
            "build.all",
            "build.responses.id1",
        ],
        hears: HEARS,
        hears_not: HEARS_NOT,
    };
    hold("operators.eve", table).await;
}

#[tokio::test]
async fn a_builder() {
    let table = Table {
        publishes: &["build.responses.id1"],
        publishes_not: &[
            "build.all",
            "build.nixos.ns1",
            "deploy.discover",
            "deploy.prod.ns1",
            "deploy.responses.id1",
        ],
        hears: &[("build.>", "build.all"), ("build.*.*", "build.nixos.ns1"), ("build.*", "build.ns1")],
        hears_not: &[
            (">", "build.all"),
            ("build.responses.>", "build.responses.id1"),
            ("build.responses.id1", "build.responses.id1"),
            ("deploy.>", "deploy.discover"),
            ("deploy.discover", "deploy.discover"),
            ("deploy.responses.>", "deploy.responses.id1"),
        ],
    };
    hold("operators.forge", table).await;
}

#[tokio::test]
async fn a_builder_does_not_hear_its_own_responses() {
    let mut trial = Trial::of("operators.forge").await;
    let sent = ["build.ns1", "build.responses.id1", "build.nixos.all"];
    let heard = trial.heard("build.>", "build.responses.own", &sent).await;
    assert_eq!(heard, ["build.ns1", "build.nixos.all"]);
}

#[tokio::test]
async fn a_key_that_is_not_listed_is_not_let_in() {
    let (_server, url) = Server::start().await;
    let error = connect_options("stranger").connect(url).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::AuthorizationViolation);
}
