//! Failures of several hosts, grouped by cause.

use crate::harness::{ago, build_failure, name, report};
use homelab_deploy::fleet::{FailureGroup, FailureGroups, Fleet, failure_cause, failure_groups};
use homelab_deploy::protocol::{DeployReport, ErrorCode, Inbound, Status};

const HASHES: [&str; 2] = ["0123456789abcdfghijklmnpqrsvwxyz", "zyxwvsrqpnmlkjihgfdcba9876543210"];

fn failure(host: &str, error: Option<&str>, message: &str) -> DeployReport {
    let mut report = report(host, "d1", Status::Failed);
    (report.error, report.message) = (error.map(ErrorCode::from), message.to_owned());
    report
}

/// The groups in the form `2: cause`.
fn groups(reports: &[DeployReport]) -> Vec<String> {
    let groups = failure_groups(reports);
    groups.iter().map(|group| format!("{}: {}", group.hosts.len(), group.cause)).collect()
}

#[test]
fn the_derivation_is_found_in_messages_of_every_nix_version() {
    let path = format!("/nix/store/{}-linux-6.12.9.drv", HASHES[0]);
    for (message, diagnostics, expected) in [
        (
            "\"web1\" did not build: builder for 'linux-6.12.9' failed with exit code 2; look at the log",
            "",
            "build of linux-6.12.9 failed",
        ),
        (
            "did not build: Cannot build 'linux-6.12.9'. Reason: builder failed with exit code 2",
            "",
            "build of linux-6.12.9 failed",
        ),
        (
            "hash mismatch in fixed-output derivation 'src.tar.gz': specified: a got: b",
            "",
            "hash mismatch in src.tar.gz",
        ),
        // A custom rebuild program leaves the reason to its output.
        (
            "/run/rebuild ended with exit status: 1 in build: 1 error",
            "error: builder for 'PATH' failed with exit code 2",
            "build of linux-6.12.9 failed",
        ),
        (
            "",
            "\u{1b}[31;1merror:\u{1b}[0m builder for '\u{1b}[35;1mPATH\u{1b}[0m' failed",
            "build of linux-6.12.9 failed",
        ),
        (
            "",
            "error: Cannot build '/nix/store/x-system.drv'.\n Reason: 1 dependency failed.\nerror: Cannot build 'PATH'.\n Reason: builder failed",
            "build of linux-6.12.9 failed",
        ),
        ("", "error: build of 'PATH' failed", "build of linux-6.12.9 failed"),
        // If no derivation is named, the cause is the whole message.
        ("cannot build", "error: out of memory", "build failed: cannot build"),
        ("builder for 'never closed", "annot build '", "build failed: builder for 'never closed"),
        ("builder for '' failed", "", "build failed: builder for '' failed"),
        ("", "", "build failed"),
    ] {
        let mut report = failure("web1", Some("build_failed"), message);
        report.diagnostics = (!diagnostics.is_empty()).then(|| diagnostics.replace("PATH", &path));
        assert_eq!(failure_cause(&report), expected, "{message:?} {diagnostics:?}");
    }
    let other = failure("web1", Some("verification_failed"), "builder for 'x' failed");
    assert_eq!(failure_cause(&other), "verification failed: builder for 'x' failed");
    assert_eq!(failure_cause(&failure("web1", None, "no")), "no");
    assert_eq!(failure_cause(&failure("web1", None, "")), "failed");
    assert_eq!(failure_cause(&failure("web1", Some("\u{1b}[2Jnew"), "a\u{1b}[2J\nb")), "new: a b");
}

#[test]
fn hosts_with_the_same_failure_are_one_group() {
    let error = Some("unhealthy");
    // The messages of two hosts, and their common cause if they have one.
    for (one, two, shared) in [
        ("no", "no", Some("no")),
        ("no", "yes", None),
        ("web1 is full", "db1 is full", Some("… is full")),
        ("nixos-system-web1-26.05", "nixos-system-db1-26.05", Some("nixos-system-…-26.05")),
        // Only the host's own name is replaced, not that of another host.
        ("cannot reach ns1", "cannot reach ns2", None),
        ("web10 is full", "db10 is full", None),
        ("within 60 s", "within 30 s", Some("within … s")),
        ("within 60 s", "within 60 s", Some("within 60 s")),
        ("took 1.5s.", "took 12ms.", Some("took ….")),
        (
            "at 2026-11-21T12:31:07Z, 3 times",
            "at 2026-11-21T12:40:07Z, 3 times",
            Some("at 2026-11-21T12:…:07Z, 3 times"),
        ),
        ("exit code 1", "exit code", None),
        ("version a1", "version a2", None),
        (
            "job 0192f3c4-aaaa-7bbb-8ccc-1234567890ab",
            "job 0192f3c4-ffff-7bbb-8ccc-1234567890ab",
            Some("job …"),
        ),
        ("/nix/store/HASH0-foo-1.2", "/nix/store/HASH1-foo-1.2", Some("/nix/store/…-foo-1.2")),
        ("/nix/store/HASH0-foo-1.2", "/nix/store/HASH1-bar-1.2", None),
        ("部屋 web1 ✗ 1 %", "部屋 db1 ✗ 2 %", Some("部屋 … ✗ … %")),
    ] {
        let text = |text: &str| text.replace("HASH0", HASHES[0]).replace("HASH1", HASHES[1]);
        let reports = [failure("web1", error, &text(one)), failure("db1", error, &text(two))];
        let expected = match shared {
            Some(shared) => vec![format!("2: unhealthy: {shared}")],
            // Of groups of one size, that with the first host is first.
            None => vec![format!("1: unhealthy: {}", text(two)), format!("1: unhealthy: {}", text(one))],
        };
        assert_eq!(groups(&reports), expected, "{one:?} {two:?}");
    }
    let codes = [failure("web1", Some("unhealthy"), "no"), failure("db1", Some("held"), "no")];
    assert_eq!(groups(&codes), ["1: held: no", "1: unhealthy: no"]);
}

#[test]
fn the_most_frequent_failure_is_first() {
    let mut reports = vec![
        failure("ns1", Some("unhealthy"), "degraded"),
        build_failure("web1", "d1", "foo-1.2"),
        report("web2", "d1", Status::Completed),
        build_failure("web3", "d1", "bar-1.0"),
        report("web4", "d1", Status::from("paused")),
        build_failure("web5", "d1", "foo-1.2"),
    ];
    reports[0].status = Status::Rejected;
    let groups = failure_groups(&reports);
    let found: Vec<_> = groups.iter().map(|group| (group.cause.as_str(), group.hosts.as_slice())).collect();
    assert_eq!(
        found,
        [
            ("build of foo-1.2 failed", &[name("web1"), name("web5")][..]),
            ("unhealthy: degraded", &[name("ns1")]),
            ("build of bar-1.0 failed", &[name("web3")]),
        ]
    );
    assert_eq!(failure_groups([]), []);
}

#[test]
fn what_differs_follows_the_reports() {
    let reports = [
        failure("web1", Some("unhealthy"), "web1 did not answer within 60 s"),
        failure("web2", Some("unhealthy"), "web2 did not answer within 61 s"),
        failure("web3", Some("unhealthy"), "web3 did not answer within 60 s"),
    ];
    let mut groups = FailureGroups::default();
    let cause =
        |groups: &FailureGroups| groups.all().iter().map(|group| group.cause.clone()).collect::<Vec<_>>();
    for report in &reports {
        groups.add(report);
    }
    assert_eq!(cause(&groups), ["unhealthy: … did not answer within … s"]);
    assert_eq!(
        groups.hosts_like(&reports[1]).collect::<Vec<_>>(),
        [&name("web1"), &name("web2"), &name("web3")]
    );
    groups.remove(&reports[1]);
    assert_eq!(cause(&groups), ["unhealthy: … did not answer within 60 s"]);
    groups.remove(&reports[0]);
    assert_eq!(cause(&groups), ["unhealthy: web3 did not answer within 60 s"]);
    groups.remove(&reports[2]);
    assert_eq!(groups.all(), []);
}

#[test]
fn diagnostics_that_arrive_later_replace_the_cause() {
    let mut first = failure("web1", Some("build_failed"), "the build failed");
    first.seq = Some(7);
    let later = DeployReport {
        diagnostics: Some("error: builder for '/nix/store/x-foo-1.2.drv' failed with exit code 2".to_owned()),
        ..first.clone()
    };
    let mut fleet = Fleet::default();
    let causes =
        |fleet: &Fleet| fleet.deployments.values().flat_map(|known| known.failures.all()).collect::<Vec<_>>();
    for (report, expected) in
        [(first, "build failed: the build failed"), (later, "build of x-foo-1.2 failed")]
    {
        fleet.apply(Inbound::Report(Box::new(report)), ago(0));
        let cause = FailureGroup { cause: expected.to_owned(), hosts: vec![name("web1")] };
        assert_eq!(causes(&fleet), [cause]);
    }
}
