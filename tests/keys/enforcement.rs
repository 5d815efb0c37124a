//! Least privilege, as a real server enforces it: every credential with every subject.

use crate::fixture::{ENTRIES, fleet_file, without_base_subjects};
use crate::raw_client::RawClient;
use crate::server::{Server, WITNESS};
use homelab_deploy::keys::{SubjectRules, parse_fleet_file, permissions};
use homelab_deploy::protocol::{self, Id, Name, overlaps};
use std::collections::BTreeSet;

/// What each entry of the fixture may do with a subject: publish, subscribe, both or neither. Subjects with wildcards
/// can only be subscribed to.
///
/// `ns1` is the listener of a host of tier prod with role dns, `www` one of tier test without a role, and `gw` one of
/// tier prod that may receive presence of other hosts. `alice` deploys to prod, and `dana` to test and lab, with
/// builds. `robot` and `tinker` are mcp credentials, `tinker` with builds. `root` is an admin, `eve` a viewer and
/// `forge` the builder.
const TABLE: &str = "
                                  ns1  www  gw   alice dana robot tinker root eve  forge
    deploy.prod.ns1               sub  -    -    pub   -    -     -      pub  -    -
    deploy.prod.ns2               -    -    -    pub   -    -     -      pub  -    -
    deploy.prod.all               sub  -    sub  pub   -    -     -      pub  -    -
    deploy.prod.role.dns          sub  -    -    pub   -    -     -      pub  -    -
    deploy.prod.role.web          -    -    -    pub   -    -     -      pub  -    -
    deploy.prod.other.dns         -    -    -    pub   -    -     -      pub  -    -
    deploy.prod                   -    -    -    -     -    -     -      -    -    -
    deploy.test.www               -    sub  -    -     pub  pub   pub    pub  -    -
    deploy.test.ns1               -    -    -    -     pub  pub   pub    pub  -    -
    deploy.test.all               -    sub  -    -     pub  pub   pub    pub  -    -
    deploy.test.role.dns          -    -    -    -     pub  pub   pub    pub  -    -
    deploy.lab.box                -    -    -    -     pub  -     -      pub  -    -
    deploy.lab.all                -    -    -    -     pub  -     -      pub  -    -
    deploy.elsewhere.all          -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.www          -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.gw           -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.presence     -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.ask.id1      -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.id1.ns1      -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.ask.id1.ns1  -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.id1.log.ns1  -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.id1.www      -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.ask.id1.www  -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.id1.log.www  -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.id1.gw       -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.ask.id1.gw   -    -    -    -     -    -     -      -    -    -
    deploy.elsewhere.id1.log.gw   -    -    -    -     -    -     -      -    -    -
    deploy.discover               sub  sub  both pub   pub  pub   pub    pub  pub  -
    deploy.responses.id1          pub  pub  pub  sub   sub  sub   sub    sub  sub  -
    deploy.responses.presence     pub  pub  both sub   sub  sub   sub    sub  sub  -
    deploy.responses.ask.id1      pub  pub  pub  sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.ns1      pub  -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.www      -    pub  -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.gw       -    -    pub  sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.other    -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.ask.id1.ns1  pub  -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.ask.id1.www  -    pub  -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.ask.id1.gw   -    -    pub  sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.log.ns1  pub  -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.log.www  -    pub  -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.log.gw   -    -    pub  sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.a.ns1    -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.a.www    -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.a.gw     -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.ask.id1.a.b  -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.log.a.b  -    -    -    sub   sub  sub   sub    sub  sub  -
    build.ns1                     -    -    -    -     pub  -     pub    pub  -    sub
    build.all                     -    -    -    -     pub  -     pub    pub  -    sub
    build.nixos.ns1               -    -    -    -     pub  -     pub    pub  -    sub
    build.nixos.all               -    -    -    -     pub  -     pub    pub  -    sub
    build.responses.id1           -    -    -    sub   sub  sub   sub    sub  sub  pub
    rollouts.status.id1           -    -    -    both  both both  both   both sub  -
    rollouts.control.id1          -    -    -    both  both sub   sub    both -    -
    rollouts.other.id1            -    -    -    -     -    -     -      -    -    -
    rollouts.status.id1.a         -    -    -    -     -    -     -      -    -    -
    rollouts.control.id1.a        -    -    -    -     -    -     -      -    -    -
    rollouts.status               -    -    -    -     -    -     -      -    -    -
    _INBOX.abc                    -    -    -    -     -    -     -      -    -    -
    _INBOX.abc.def                -    -    -    -     -    -     -      -    -    -
    $SYS.REQ.SERVER.PING          -    -    -    -     -    -     -      -    -    -
    other                         -    -    -    -     -    -     -      -    -    -
    deploy.prod.*                 -    -    -    -     -    -     -      -    -    -
    deploy.prod.>                 -    -    -    -     -    -     -      -    -    -
    deploy.test.role.*            -    -    -    -     -    -     -      -    -    -
    deploy.*.ns1                  -    -    -    -     -    -     -      -    -    -
    deploy.*.all                  -    -    -    -     -    -     -      -    -    -
    deploy.*                      -    -    -    -     -    -     -      -    -    -
    deploy.>                      -    -    -    -     -    -     -      -    -    -
    deploy.responses.*            -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.*.*          -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.*.ns1        -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.*        -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.ask.*        -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.ask.*.*      -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.ask.id1.*    -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.*.log.*      -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.>            -    -    -    sub   sub  sub   sub    sub  sub  -
    build.responses.*             -    -    -    sub   sub  sub   sub    sub  sub  -
    build.responses.>             -    -    -    sub   sub  sub   sub    sub  sub  -
    rollouts.status.*             -    -    -    sub   sub  sub   sub    sub  sub  -
    rollouts.control.*            -    -    -    sub   sub  sub   sub    sub  -    -
    rollouts.*.*                  -    -    -    -     -    -     -      -    -    -
    rollouts.>                    -    -    -    -     -    -     -      -    -    -
    build.*                       -    -    -    -     -    -     -      -    -    sub
    build.*.*                     -    -    -    -     -    -     -      -    -    sub
    build.>                       -    -    -    -     -    -     -      -    -    sub
    *.>                           -    -    -    -     -    -     -      -    -    -
    _INBOX.>                      -    -    -    -     -    -     -      -    -    -
    $SYS.>                        -    -    -    -     -    -     -      -    -    -
    >                             -    -    -    -     -    -     -      -    -    -
";

/// The reply subjects of the older tool.
const BASE: [&str; 2] = ["deploy.responses.id1", "deploy.responses.ask.id1"];

/// The builder may subscribe to a pattern that overlaps its own responses, but does not receive those.
const SPARED: (&str, &str) = ("forge", "build.responses.id1");

/// The column of each entry, from top to bottom.
fn columns() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let mut lines = TABLE.lines().filter(|line| !line.is_empty()).map(str::split_whitespace);
    let mut columns: Vec<_> = lines.next().unwrap().map(|entry| (entry, Vec::new())).collect();
    for mut cells in lines {
        let subject = cells.next().unwrap();
        let cells: Vec<_> = cells.collect();
        assert_eq!(cells.len(), columns.len(), "the row of {subject}");
        for ((_, column), cell) in columns.iter_mut().zip(cells) {
            column.push((subject, cell));
        }
    }
    columns
}

/// Whether a subject can only be subscribed to.
fn is_pattern(subject: &str) -> bool {
    subject.contains(['*', '>'])
}

/// Tries to publish and subscribe to each subject on the server. Allowed is what arrives, and refused what the server
/// reports as a violation.
fn tried(
    entry: &str,
    line: &mut RawClient,
    witness: &mut RawClient,
    subjects: &[&'static str],
) -> Vec<(&'static str, &'static str)> {
    let plain: Vec<_> = subjects.iter().copied().filter(|subject| !is_pattern(subject)).collect();
    for subject in &plain {
        line.publish(subject);
    }
    let numbers: Vec<_> = subjects.iter().map(|subject| line.subscribe(subject)).collect();
    let refused = line.ping().errors;
    let arrived = witness.ping().messages;
    for subject in &plain {
        witness.publish(subject);
    }
    witness.ping();
    let heard = line.ping().messages;

    let is_refused = |what: &str, subject: &str| {
        refused.contains(&format!("Permissions Violation for {what} to \"{subject}\""))
    };
    let try_one = |(subject, number): (&&'static str, usize)| {
        let publishes = arrived.iter().any(|(_, arrived)| arrived == subject);
        let subscribes = !is_refused("Subscription", subject);
        if !is_pattern(subject) {
            assert_ne!(publishes, is_refused("Publish", subject), "{entry} publishes to {subject}");
        }
        let own: BTreeSet<_> =
            heard.iter().filter(|(to, _)| *to == number).map(|(_, subject)| subject.as_str()).collect();
        let expected = plain
            .iter()
            .copied()
            .filter(|plain| subscribes && overlaps(plain, subject) && (entry, *plain) != SPARED);
        assert_eq!(own, expected.collect(), "what {entry} receives on {subject}");
        let cell = match (publishes, subscribes) {
            (true, true) => "both",
            (true, false) => "pub",
            (false, true) => "sub",
            (false, false) => "-",
        };
        (*subject, cell)
    };
    subjects.iter().zip(numbers).map(try_one).collect()
}

#[test]
fn each_credential_may_do_what_the_table_says_and_nothing_else() {
    hold(&Server::start(), |_, cell| cell);
}

#[test]
fn without_base_subjects_a_host_publishes_under_its_own_name_only() {
    hold(&Server::of(&without_base_subjects()), |subject, cell| {
        if BASE.contains(&subject) && cell == "pub" { "-" } else { cell }
    });
}

/// Tries every cell of the table, adjusted by `cell`, on a server.
fn hold(server: &Server, cell: impl Fn(&str, &'static str) -> &'static str) {
    let mut witness = server.connect(WITNESS).unwrap();
    witness.subscribe(">");
    witness.ping();
    for (entry, column) in columns() {
        let section = if ["ns1", "www", "gw"].contains(&entry) { "hosts" } else { "operators" };
        let mut line = server.connect(&format!("{section}.{entry}")).unwrap();
        let subjects: Vec<_> = column.iter().map(|(subject, _)| *subject).collect();
        let outcomes = tried(entry, &mut line, &mut witness, &subjects);
        for ((subject, expected), (_, outcome)) in column.into_iter().zip(outcomes) {
            assert_eq!(outcome, cell(subject, expected), "{entry} on {subject}");
        }
    }
}

#[test]
fn every_entry_of_the_fleet_has_a_column() {
    let with_column: BTreeSet<_> = columns().into_iter().map(|(entry, _)| entry).collect();
    let listed = ENTRIES.map(|entry| entry.rsplit('.').next().unwrap());
    assert_eq!(with_column, listed.into());
}

/// The rows of the table.
fn subjects() -> Vec<&'static str> {
    TABLE.lines().skip(2).map(|line| line.split_whitespace().next().unwrap()).collect()
}

#[test]
fn every_subject_of_the_protocol_has_a_row() {
    let name = |text| Name::new(text).unwrap();
    let (id, ns1, prod, dns, nixos) =
        (Id::new("id1").unwrap(), name("ns1"), name("prod"), name("dns"), name("nixos"));
    let used = [
        protocol::host_subject(&prod, &ns1),
        protocol::tier_subject(&prod),
        protocol::role_subject(&prod, &dns),
        protocol::DISCOVER.to_owned(),
        protocol::PRESENCE.to_owned(),
        protocol::REPORTS.to_owned(),
        protocol::REPORTS_PER_HOST.to_owned(),
        protocol::report_subject(&id),
        protocol::per_host_report_subject(&id),
        format!("{}.ns1", protocol::report_subject(&id)),
        protocol::reply_subject(&id),
        protocol::per_host_reply_subject(&id),
        format!("{}.ns1", protocol::reply_subject(&id)),
        protocol::log_subject(&id, &ns1),
        protocol::BUILD_REPORTS.to_owned(),
        protocol::build_subject(None, "ns1"),
        protocol::build_subject(Some(&nixos), "all"),
        protocol::build_report_subject(&id),
    ];
    let rows = subjects();
    for subject in used {
        assert!(rows.contains(&subject.as_str()), "{subject}");
    }
}

/// Every way to widen a pattern by one step: a wildcard in place of one token after the first, or in place of all
/// tokens after one.
fn wider(pattern: &str) -> BTreeSet<String> {
    let tokens: Vec<_> = pattern.split('.').collect();
    let mut wider = BTreeSet::new();
    for at in 1..tokens.len() {
        if tokens[at] != ">" {
            let mut widened = tokens.clone();
            widened[at] = "*";
            wider.insert(widened.join("."));
        }
        wider.insert(format!("{}.>", tokens[..at].join(".")));
    }
    wider.remove(pattern);
    wider
}

/// The rules with one pattern widened, each with a description.
fn loosened(rules: &SubjectRules) -> Vec<(String, SubjectRules)> {
    let mut all = Vec::new();
    for (at, pattern) in rules.allow.iter().enumerate() {
        for wider in wider(pattern).into_iter().filter(|wider| !rules.allow.contains(wider)) {
            let mut looser = rules.clone();
            looser.allow[at].clone_from(&wider);
            all.push((format!("{wider} in the place of {pattern}"), looser));
        }
    }
    for (at, pattern) in rules.deny.iter().enumerate() {
        let mut looser = rules.clone();
        looser.deny.remove(at);
        all.push((format!("{pattern} not denied"), looser));
    }
    all
}

/// The test above relies on the server. This one checks that the rows are sufficient to detect every wider rule.
#[test]
fn any_looser_permission_changes_a_cell() {
    let rows: Vec<_> = subjects().into_iter().filter(|subject| !is_pattern(subject)).collect();
    let allowed = |rules: &SubjectRules| {
        let matches = |patterns: &[String], subject: &str| patterns.iter().any(|p| overlaps(p, subject));
        let is_allowed = |subject: &&str| matches(&rules.allow, subject) && !matches(&rules.deny, subject);
        rows.iter().copied().filter(is_allowed).collect::<Vec<_>>()
    };
    let mut unseen = Vec::new();
    let files = [fleet_file().to_owned(), without_base_subjects()];
    for user in files.iter().flat_map(|file| parse_fleet_file(file, "fleet.toml".as_ref()).unwrap()) {
        let permissions = permissions(&user.credential);
        for (what, rules) in [("publish", permissions.publish), ("subscribe", permissions.subscribe)] {
            let same = loosened(&rules).into_iter().filter(|(_, looser)| allowed(looser) == allowed(&rules));
            unseen.extend(same.map(|(change, _)| format!("{} {what}: {change}", user.entry)));
        }
    }
    assert!(unseen.is_empty(), "no row shows\n{}", unseen.join("\n"));
}

#[test]
fn a_key_that_is_not_listed_is_not_let_in() {
    let error = Server::start().connect("stranger").err().unwrap();
    assert_eq!(error, "Authorization Violation");
}
