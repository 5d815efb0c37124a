//! Least privilege, as a real server enforces it: every credential with every subject, its own and those of others.

use crate::fixture::ENTRIES;
use crate::line::Line;
use crate::server::{Server, WITNESS};
use homelab_deploy::protocol::overlaps;
use std::collections::BTreeSet;

/// What each entry of the fixture may do with a subject: publish, subscribe, both or neither. Subjects with a wildcard can
/// only be subscribed to.
///
/// `ns1` is the listener of a host of the tier prod with the role dns, `www` one of test without a role,
/// `gw` one of prod that hears other hosts; `alice` deploys
/// to prod, `dana` to test and lab, with builds; `robot` and `tinker` are mcp, `tinker` with builds; `root` is an admin, `eve` a
/// viewer, `forge` the builder.
const TABLE: &str = "
                                  ns1  www  gw   alice dana robot tinker root eve  forge
    deploy.prod.ns1               sub  -    -    pub   -    -     -      pub  -    -
    deploy.prod.ns2               -    -    -    pub   -    -     -      pub  -    -
    deploy.prod.all               sub  -    sub  pub   -    -     -      pub  -    -
    deploy.prod.role.dns          sub  -    -    pub   -    -     -      pub  -    -
    deploy.prod.role.web          -    -    -    pub   -    -     -      pub  -    -
    deploy.prod                   -    -    -    -     -    -     -      -    -    -
    deploy.test.www               -    sub  -    -     pub  pub   pub    pub  -    -
    deploy.test.ns1               -    -    -    -     pub  pub   pub    pub  -    -
    deploy.test.all               -    sub  -    -     pub  pub   pub    pub  -    -
    deploy.test.role.dns          -    -    -    -     pub  pub   pub    pub  -    -
    deploy.lab.box                -    -    -    -     pub  -     -      pub  -    -
    deploy.lab.all                -    -    -    -     pub  -     -      pub  -    -
    deploy.elsewhere.all          -    -    -    -     -    -     -      -    -    -
    deploy.discover               sub  sub  both pub   pub  pub   pub    pub  pub  -
    deploy.responses.id1          pub  pub  pub  sub   sub  sub   sub    sub  sub  -
    deploy.responses.presence     pub  pub  both sub   sub  sub   sub    sub  sub  -
    deploy.responses.ask.id1      pub  pub  pub  sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.log.ns1  pub  -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.log.www  -    pub  -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.id1.other    -    -    -    sub   sub  sub   sub    sub  sub  -
    build.ns1                     -    -    -    -     pub  -     pub    pub  -    sub
    build.all                     -    -    -    -     pub  -     pub    pub  -    sub
    build.nixos.ns1               -    -    -    -     pub  -     pub    pub  -    sub
    build.nixos.all               -    -    -    -     pub  -     pub    pub  -    sub
    build.responses.id1           -    -    -    sub   sub  sub   sub    sub  sub  pub
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
    deploy.responses.ask.*        -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.*.log.*      -    -    -    sub   sub  sub   sub    sub  sub  -
    deploy.responses.>            -    -    -    sub   sub  sub   sub    sub  sub  -
    build.responses.*             -    -    -    sub   sub  sub   sub    sub  sub  -
    build.responses.>             -    -    -    sub   sub  sub   sub    sub  sub  -
    build.*                       -    -    -    -     -    -     -      -    -    sub
    build.*.*                     -    -    -    -     -    -     -      -    -    sub
    build.>                       -    -    -    -     -    -     -      -    -    sub
    *.>                           -    -    -    -     -    -     -      -    -    -
    _INBOX.>                      -    -    -    -     -    -     -      -    -    -
    $SYS.>                        -    -    -    -     -    -     -      -    -    -
    >                             -    -    -    -     -    -     -      -    -    -
";

/// The builder may subscribe to what reaches over its own responses, and is spared those.
const SPARED: (&str, &str) = ("forge", "build.responses.id1");

/// The column of each entry, from the top down.
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

/// A subject that can only be subscribed to.
fn is_pattern(subject: &str) -> bool {
    subject.contains(['*', '>'])
}

/// What the server makes of publishing and of subscribing to each subject: allowed is what arrives, and refused what it
/// says so of.
fn tried(
    entry: &str,
    line: &mut Line,
    witness: &mut Line,
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
        assert_eq!(own, expected.collect(), "what {entry} hears of {subject}");
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
    let server = Server::start();
    let mut witness = server.connect(WITNESS).unwrap();
    witness.subscribe(">");
    witness.ping();
    for (entry, column) in columns() {
        let section = if ["ns1", "www", "gw"].contains(&entry) { "hosts" } else { "operators" };
        let mut line = server.connect(&format!("{section}.{entry}")).unwrap();
        let subjects: Vec<_> = column.iter().map(|(subject, _)| *subject).collect();
        let outcomes = tried(entry, &mut line, &mut witness, &subjects);
        for ((subject, cell), (_, outcome)) in column.into_iter().zip(outcomes) {
            assert_eq!(outcome, cell, "{entry} on {subject}");
        }
    }
}

#[test]
fn every_entry_of_the_fleet_has_a_column() {
    let told: BTreeSet<_> = columns().into_iter().map(|(entry, _)| entry).collect();
    let listed = ENTRIES.map(|entry| entry.rsplit('.').next().unwrap());
    assert_eq!(told, listed.into());
}

#[test]
fn a_key_that_is_not_listed_is_not_let_in() {
    let error = Server::start().connect("stranger").err().unwrap();
    assert_eq!(error, "Authorization Violation");
}
