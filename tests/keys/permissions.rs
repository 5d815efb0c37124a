//! Each row of the permission table, for a fleet that is read from its file.

use crate::fixture::{ENTRIES, fleet_file, public_key};
use homelab_deploy::keys::{Permissions, SubjectRules, User, parse_fleet_file, permissions};
use homelab_deploy::protocol::{self, Id, Name, overlaps};

fn users() -> Vec<User> {
    parse_fleet_file(fleet_file(), "fleet.toml".as_ref()).unwrap()
}

fn of(entry: &str) -> Permissions {
    permissions(&users().into_iter().find(|user| user.entry == entry).unwrap().credential)
}

fn rules(allow: &[&str], deny: &[&str]) -> SubjectRules {
    let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    SubjectRules { allow: owned(allow), deny: owned(deny) }
}

/// The subjects that an operator who changes hosts may subscribe to.
fn responses() -> SubjectRules {
    rules(&["deploy.responses.>", "build.responses.>", "rollouts.status.*", "rollouts.control.*"], &[])
}

#[test]
fn users_have_a_stable_order_and_their_keys() {
    let users = users();
    let entries: Vec<_> = users.iter().map(|user| user.entry.as_str()).collect();
    assert_eq!(entries, ENTRIES);
    for user in users {
        assert_eq!(user.public_key, public_key(&user.entry));
    }
}

#[test]
fn the_listener_of_a_host_with_a_role() {
    let expected = Permissions {
        publish: rules(
            &[
                "deploy.responses.*.ns1",
                "deploy.responses.ask.*.ns1",
                "deploy.responses.*.log.ns1",
                "deploy.responses.presence",
                "deploy.responses.*",
                "deploy.responses.ask.*",
            ],
            &[],
        ),
        subscribe: rules(
            &["deploy.prod.ns1", "deploy.prod.all", "deploy.prod.role.dns", "deploy.discover"],
            &[],
        ),
    };
    assert_eq!(of("hosts.ns1"), expected);
}

#[test]
fn the_listener_of_a_host_without_a_role() {
    let expected = rules(&["deploy.test.www", "deploy.test.all", "deploy.discover"], &[]);
    assert_eq!(of("hosts.www").subscribe, expected);
}

#[test]
fn the_listener_of_a_host_that_receives_from_other_hosts() {
    let plain = of("hosts.ns1");
    let expected = Permissions {
        publish: rules(
            &[
                "deploy.responses.*.gw",
                "deploy.responses.ask.*.gw",
                "deploy.responses.*.log.gw",
                "deploy.responses.presence",
                "deploy.responses.*",
                "deploy.responses.ask.*",
                "deploy.discover",
            ],
            &[],
        ),
        subscribe: rules(
            &["deploy.prod.gw", "deploy.prod.all", "deploy.discover", "deploy.responses.presence"],
            &[],
        ),
    };
    assert_eq!(of("hosts.gw"), expected);
    assert!(!plain.subscribe.allow.contains(&"deploy.responses.presence".to_owned()));
}

#[test]
fn a_deployer() {
    let publish =
        rules(&["deploy.prod.>", "deploy.discover", "rollouts.status.*", "rollouts.control.*"], &[]);
    assert_eq!(of("operators.alice"), Permissions { publish, subscribe: responses() });
}

#[test]
fn a_deployer_of_two_tiers_with_builds() {
    let allow = [
        "deploy.lab.>",
        "deploy.test.>",
        "deploy.discover",
        "rollouts.status.*",
        "rollouts.control.*",
        "build.>",
    ];
    let publish = rules(&allow, &["build.responses.>"]);
    assert_eq!(of("operators.dana"), Permissions { publish, subscribe: responses() });
}

#[test]
fn an_mcp() {
    let publish = rules(&["deploy.test.>", "deploy.discover", "rollouts.status.*"], &[]);
    assert_eq!(of("operators.robot"), Permissions { publish, subscribe: responses() });
}

#[test]
fn an_mcp_with_builds() {
    let publish =
        rules(&["deploy.test.>", "deploy.discover", "rollouts.status.*", "build.>"], &["build.responses.>"]);
    assert_eq!(of("operators.tinker"), Permissions { publish, subscribe: responses() });
}

#[test]
fn an_admin_has_every_tier_that_any_entry_names() {
    let allow = [
        "deploy.lab.>",
        "deploy.prod.>",
        "deploy.test.>",
        "deploy.discover",
        "rollouts.status.*",
        "rollouts.control.*",
        "build.>",
    ];
    let publish = rules(&allow, &["build.responses.>"]);
    assert_eq!(of("operators.root"), Permissions { publish, subscribe: responses() });
}

#[test]
fn an_admin_has_the_tier_of_an_mcp_that_is_alone() {
    let text = format!(
        "[operators.root]\nkind = \"admin\"\npublic_key = {:?}\n[operators.robot]\nkind = \"mcp\"\npublic_key = {:?}\n",
        public_key("operators.root"),
        public_key("operators.robot"),
    );
    let users = parse_fleet_file(&text, "fleet.toml".as_ref()).unwrap();
    assert_eq!(users[1].entry, "operators.root");
    let allowed = permissions(&users[1].credential).publish.allow;
    assert_eq!(
        allowed,
        ["deploy.test.>", "deploy.discover", "rollouts.status.*", "rollouts.control.*", "build.>"]
    );
}

#[test]
fn a_viewer() {
    let publish = rules(&["deploy.discover"], &[]);
    let subscribe = rules(&["deploy.responses.>", "build.responses.>", "rollouts.status.*"], &[]);
    assert_eq!(of("operators.eve"), Permissions { publish, subscribe });
}

#[test]
fn a_builder() {
    let expected = Permissions {
        publish: rules(&["build.responses.>"], &[]),
        subscribe: rules(&["build.>"], &["build.responses.>"]),
    };
    assert_eq!(of("operators.forge"), expected);
}

#[test]
fn no_credential_has_an_empty_list_or_the_inbox() {
    for user in users() {
        let allowed = permissions(&user.credential);
        for rules in [allowed.publish, allowed.subscribe] {
            assert!(!rules.allow.is_empty(), "{}", user.entry);
            assert!(!rules.allow.iter().any(|s| overlaps(s, "_INBOX.>")), "{}", user.entry);
        }
    }
}

/// The patterns are written out; this test compares them with the subjects that are used.
#[test]
fn a_listener_may_publish_wherever_the_protocol_sends_it() {
    let (id, ns1, www) = (Id::new("id1").unwrap(), Name::new("ns1").unwrap(), Name::new("www").unwrap());
    let allow = of("hosts.ns1").publish.allow;
    let may = |subject: &str| allow.iter().any(|pattern| overlaps(pattern, subject));
    assert!(may(&protocol::report_subject(&id)));
    assert!(may(&protocol::reply_subject(&id)));
    assert!(may(&protocol::log_subject(&id, &ns1)));
    assert!(may(protocol::PRESENCE));
    assert!(!may(&protocol::log_subject(&id, &www)));
}
