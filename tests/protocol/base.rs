//! The base format, which existing fleets use: each of its messages is parsed correctly, and our messages, reduced to
//! its fields, are exactly base messages.

use crate::samples::{bytes, id, json_of, name};
use homelab_deploy::protocol::{
    Action, BuildReport, BuildRequest, BuildStatus, DeployReport, DeployRequest, EngineKind, ErrorCode,
    Presence, Query, ReplyTo, Revision, Status,
};
use serde_json::{Value, json};

const REQUEST: &[&str] = &["action", "revision", "reply_to"];
const REPORT: &[&str] = &["hostname", "status", "error", "message"];
const QUERY: &[&str] = &["reply_to", "tier"];
const HOST: &[&str] = &["hostname", "tier", "role", "deploy_subjects"];
const BUILD_REQUEST: &[&str] = &["target", "reply_to"];
const BUILD_REPORT: &[&str] = &["target", "status", "error", "message"];

/// The fields of our message that a base peer sees.
fn reduced(message: &[u8], fields: &[&str]) -> Value {
    let Value::Object(mut all) = json_of(message) else { panic!("the message is not an object") };
    all.retain(|key, _| fields.contains(&key.as_str()));
    Value::Object(all)
}

#[test]
fn a_base_deploy_request_is_read_and_written_with_every_action_and_kind_of_revision() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    for (action, known) in [
        ("switch", Action::Switch),
        ("boot", Action::Boot),
        ("test", Action::Test),
        ("dry-activate", Action::DryActivate),
    ] {
        for revision in ["master", "feature/x", "v1.2.3", commit] {
            let base = json!({"action": action, "revision": revision, "reply_to": "deploy.responses.x-1"});
            let meant = DeployRequest::new(known.clone(), Some(Revision::new(revision).unwrap()), id("x-1"));
            assert_eq!(DeployRequest::parse(&bytes(&base)).unwrap(), meant);
            assert_eq!(reduced(&meant.encode(), REQUEST), base);
        }
    }
}

#[test]
fn a_request_that_names_no_id_has_that_of_its_reply_subject() {
    let base = json!({"action": "switch", "revision": "master", "reply_to": "deploy.responses.x-1"});
    let request = DeployRequest::parse(&bytes(&base)).unwrap();
    assert_eq!(request.id, id("x-1"));
    assert_eq!(request.reply_to, ReplyTo::reports(id("x-1")));
}

#[test]
fn a_base_report_of_each_status_is_read_and_written_with_its_error_even_where_that_is_null() {
    for (status, known, error, code) in [
        ("accepted", Status::Accepted, json!(null), None),
        ("started", Status::Started, json!(null), None),
        ("completed", Status::Completed, json!(null), None),
        ("failed", Status::Failed, json!("build_failed"), Some(ErrorCode::BuildFailed)),
        ("failed", Status::Failed, json!("timeout"), Some(ErrorCode::Timeout)),
        ("rejected", Status::Rejected, json!("invalid_revision"), Some(ErrorCode::InvalidRevision)),
        ("rejected", Status::Rejected, json!("invalid_action"), Some(ErrorCode::InvalidAction)),
        ("rejected", Status::Rejected, json!("already_running"), Some(ErrorCode::AlreadyRunning)),
    ] {
        let base = json!({"hostname": "web1", "status": status, "error": error, "message": "so it is"});
        let mut meant = DeployReport::new(name("web1"), known, "so it is");
        meant.error = code;
        assert_eq!(DeployReport::parse(&bytes(&base)).unwrap(), meant);
        assert_eq!(reduced(&meant.encode(), REPORT), base);
    }
}

#[test]
fn a_base_report_may_leave_its_error_and_message_out_or_send_them_empty() {
    let meant = DeployReport::new(name("web1"), Status::Completed, "");
    for base in [
        json!({"hostname": "web1", "status": "completed"}),
        json!({"hostname": "web1", "status": "completed", "error": null, "message": null}),
        json!({"hostname": "web1", "status": "completed", "error": "", "message": ""}),
    ] {
        assert_eq!(DeployReport::parse(&bytes(&base)).unwrap(), meant, "{base}");
    }
}

#[test]
fn a_base_discover_request_is_read_and_written() {
    let mut meant = Query::new(ReplyTo::reports(id("q1")));
    meant.tier = Some(name("prod"));
    let base = json!({"reply_to": "deploy.responses.q1", "tier": "prod"});
    assert_eq!(Query::parse(&bytes(&base)).unwrap(), meant);
    assert_eq!(reduced(&meant.encode(), QUERY), base);
}

#[test]
fn a_discover_request_with_an_empty_null_or_absent_tier_and_role_queries_every_host() {
    let reply_to = "deploy.responses.q1";
    for base in [
        json!({"reply_to": reply_to}),
        json!({"reply_to": reply_to, "tier": null, "role": null}),
        json!({"reply_to": reply_to, "tier": "", "role": ""}),
    ] {
        let query = Query::parse(&bytes(&base)).unwrap();
        assert_eq!(query, Query::new(ReplyTo::reports(id("q1"))), "{base}");
        assert!(query.matches(&name("web1"), &name("prod"), None), "{base}");
        assert_eq!(reduced(&query.encode(), QUERY), json!({"reply_to": reply_to}));
    }
}

#[test]
fn a_base_presence_is_read_and_written() {
    let subjects = || vec!["deploy.prod.web1".to_owned(), "deploy.prod.all".to_owned()];
    let listed = json!(subjects());
    for (role, base) in [
        (Some("dns"), json!({"hostname": "web1", "tier": "prod", "role": "dns", "deploy_subjects": listed})),
        (None, json!({"hostname": "web1", "tier": "prod", "deploy_subjects": listed})),
    ] {
        let meant = Presence::new(name("web1"), name("prod"), role.map(name), subjects());
        assert_eq!(Presence::parse(&bytes(&base)).unwrap(), meant);
        assert_eq!(reduced(&meant.encode(), HOST), base);
    }
}

#[test]
fn a_missing_role_may_be_an_empty_string_null_or_absent() {
    let meant = Presence::new(name("web1"), name("prod"), None, Vec::<String>::new());
    for base in [
        json!({"hostname": "web1", "tier": "prod", "role": "", "deploy_subjects": []}),
        json!({"hostname": "web1", "tier": "prod", "role": null, "deploy_subjects": null}),
        json!({"hostname": "web1", "tier": "prod"}),
    ] {
        assert_eq!(Presence::parse(&bytes(&base)).unwrap(), meant, "{base}");
    }
    let mut report = DeployReport::new(name("web1"), Status::Started, "go");
    report.role = None;
    for role in [json!(""), json!(null)] {
        let base = json!({"hostname": "web1", "status": "started", "message": "go", "role": role});
        assert_eq!(DeployReport::parse(&bytes(&base)).unwrap(), report, "{base}");
    }
}

#[test]
fn a_base_host_can_do_the_base_actions_and_no_others() {
    let host = Presence::new(name("web1"), name("prod"), None, Vec::<String>::new());
    let able: Vec<_> = Action::ALL.iter().filter(|action| host.can(action)).cloned().collect();
    assert_eq!(able, Action::BASE);
}

#[test]
fn a_compose_host_has_no_next_boot_and_knows_services() {
    let mut host = Presence::new(name("chelsty"), name("prod"), None, Vec::<String>::new());
    assert!(!host.is_compose() && !host.knows_services());
    host.engine = Some(EngineKind::Compose);
    host.capabilities = vec![Action::Build, Action::from("services")];
    let able: Vec<_> = Action::ALL.iter().filter(|action| host.can(action)).collect();
    assert_eq!(able, [&Action::Switch, &Action::DryActivate, &Action::Build]);
    assert!(host.is_compose() && host.knows_services());
}

#[test]
fn a_base_build_request_is_read_and_written() {
    for target in ["web1", "all"] {
        let base = json!({"target": target, "reply_to": "build.responses.b1"});
        let meant = BuildRequest {
            target: target.to_owned(),
            repo: None,
            branch: None,
            reply_to: "build.responses.b1".to_owned(),
            id: Some(id("b1")),
            issued_at: None,
            expires_at: None,
            issuer: None,
        };
        assert_eq!(BuildRequest::parse(&bytes(&base)).unwrap(), meant);
        assert_eq!(reduced(&meant.encode(), BUILD_REQUEST), base);
    }
}

#[test]
fn a_build_request_with_an_empty_null_or_absent_repo_and_branch_takes_the_defaults() {
    for base in [
        json!({"target": "all", "reply_to": "build.responses.b1"}),
        json!({"target": "all", "reply_to": "build.responses.b1", "repo": null, "branch": null}),
        json!({"target": "all", "reply_to": "build.responses.b1", "repo": "", "branch": ""}),
    ] {
        let request = BuildRequest::parse(&bytes(&base)).unwrap();
        assert_eq!((request.repo, request.branch), (None, None), "{base}");
    }
}

#[test]
fn a_base_build_report_is_read_and_written() {
    for (status, known, error, code) in [
        ("started", BuildStatus::Started, json!(null), None),
        ("progress", BuildStatus::Progress, json!(null), None),
        ("completed", BuildStatus::Completed, json!(null), None),
        ("failed", BuildStatus::Failed, json!("build_failed"), Some(ErrorCode::BuildFailed)),
        ("rejected", BuildStatus::Rejected, json!("already_running"), Some(ErrorCode::AlreadyRunning)),
    ] {
        let base = json!({"target": "all", "status": status, "error": error, "message": "so it is"});
        let report = BuildReport::parse(&bytes(&base)).unwrap();
        assert_eq!((&report.target[..], &report.status, &report.error), ("all", &known, &code));
        assert_eq!((&report.message[..], report.repo.as_ref(), report.hosts.len()), ("so it is", None, 0));
        assert_eq!(reduced(&report.encode(), BUILD_REPORT), base);
    }
}
