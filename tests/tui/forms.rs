//! The forms for a rollback, a reboot and a dry run: what they send.

use crate::harness::{Harness, PLAIN, name, noon, report, report_message};
use crate::keys::keys;
use homelab_deploy::protocol::{ErrorCode, HostIdentity, Inbound, PresenceMismatch, Status};
use homelab_deploy::tui::{ConsoleEvent, Context, Effect, Overlay};

/// What these keys send, such as `rollback 139 web1`, `reboot db1 gw1` or `dry-activate main web1`.
fn sent(harness: &mut Harness, typed: &str) -> Option<String> {
    harness.effects();
    keys(harness, typed);
    let effects = harness.effects();
    let mut plans = effects.iter().filter_map(|effect| match effect {
        Effect::Send(plan) => Some(plan),
        _ => None,
    });
    let plan = plans.next()?;
    assert!(plans.next().is_none());
    let intent = &plan.intent;
    assert_eq!((intent.issuer.as_str(), intent.no_rollback), ("alice@laptop", false));
    let mut words = vec![intent.action.to_string()];
    words.extend(intent.revision.as_ref().map(ToString::to_string));
    words.extend(intent.generation.map(|generation| generation.to_string()));
    words.extend(plan.hosts().keys().map(ToString::to_string));
    Some(words.join(" "))
}

fn fleet() -> Harness {
    let mut harness = Harness::fleet(120, 50, PLAIN);
    harness.draw();
    harness
}

#[test]
fn an_older_commit_is_offered_once_a_host_has_refused_one() {
    let refused = |message: &str| {
        let mut harness = fleet();
        let mut report = report("web1", "d50", Status::Failed);
        (report.error, report.seq) = (Some(ErrorCode::InvalidRevision), Some(9_000_000));
        message.clone_into(&mut report.message);
        harness.receive(noon(), [report_message(report)]);
        harness.draw();
        harness
    };
    let older = "commit 3f2a is older than b04c, which this host deployed last from the branch \"main\"; to go back, use \
                 `rollback`, or `deploy --allow-older` for exactly this commit";
    // The message of the host, the keys, and whether the request allows older commits.
    for (message, typed, allows) in [
        (older, "/web1\nd\t\t\t>\t\t\n", Some(true)),
        (older, "/web1\nd\t\t\t>>\t\t\n", Some(false)),
        (older, "/web1\nd\t\t\t\t\t\n", Some(false)),
        // One more tab moves past the field.
        (older, "/web9\nd\t\t\t\t\n", Some(false)),
        ("commit 3f2a is on no branch", "/web1\nd\t\t\t\t\n", Some(false)),
        // The role, which includes the host.
        (older, "/web1\nd>\t\t\t\t>\t\t\n", Some(true)),
    ] {
        let mut harness = refused(message);
        harness.effects();
        keys(&mut harness, typed);
        let sent = harness.effects().into_iter().find_map(|effect| match effect {
            Effect::Send(plan) => Some(plan.intent.allow_older),
            _ => None,
        });
        assert_eq!(sent, allows, "{typed:?}\n{}", harness.text());
    }
    let mut harness = refused(older);
    keys(&mut harness, "/web1\nd\t\t\t>");
    assert!(harness.text().contains("older       refused  [allowed]"), "{}", harness.text());
}

#[test]
fn a_changed_host_is_left_out_of_a_group_and_refused_if_marked() {
    let changed = || {
        let mut harness = fleet();
        let differs = Some(Box::new(PresenceMismatch::Tier { known: name("prod"), now: name("test") }));
        harness.receive(
            noon(),
            [Inbound::Identity(name("web10"), HostIdentity { differs, ..HostIdentity::default() })],
        );
        harness.draw();
        harness
    };
    let mut harness = changed();
    assert_eq!(sent(&mut harness, "/web1\nb\t\t>"), None);
    let text = harness.text();
    assert!(text.contains("left out: changed: it is known in tier prod but now reports test"), "{text}");
    assert!(text.contains("Roll back 2 hosts"), "{text}");
    assert_eq!(sent(&mut harness, "\n").as_deref(), Some("rollback web1 web9"));

    let mut harness = changed();
    assert_eq!(sent(&mut harness, "/web\na^b>\n"), None);
    assert!(harness.text().contains("web10 has changed: it is known in tier prod"), "{}", harness.text());
}

#[test]
fn a_form_applies_to_the_marked_hosts_or_the_selected_one() {
    for (typed, expected) in [
        // By default, nothing is sent.
        ("/web1\nb\n", None),
        ("/web1\nb^", None),
        ("/web1\n\u{12}\n", None),
        ("/web1\nb>\n", Some("rollback web1")),
        ("/web1\nb\t\n", Some("rollback web1")),
        ("/web1\n\u{12}>\n", Some("reboot web1")),
        ("/web1\n\u{12}>>\n", None),
        ("/web\na^b>\n", Some("rollback web1 web10 web9")),
        ("/web\na\u{12}>\n", Some("reboot web1 web10 web9")),
        // The role, and then the whole tier, without a host that does not support it.
        ("/web1\nb\t\t>\n", Some("rollback web1 web10 web9")),
        ("/web1\nb\t\t>>\n", Some("rollback web1 web10 web9")),
        // A tier that needs a confirmation: the focus moves to that field until it is typed.
        ("b>\n", None),
        ("\u{12}>\nprod\n", Some("reboot db1")),
        ("b>\npro\n>\n", None),
        ("bprod\n", Some("rollback db1")),
        ("  b>\nprod\n", Some("rollback db1 gw1")),
        // A dry run needs only enter, in any tier.
        ("D\n", Some("dry-activate main db1")),
        ("  D\n", Some("dry-activate main db1 gw1")),
        ("D<\n", None),
        ("D^", None),
        ("/web1\nD\t\t-2.0\n", Some("dry-activate main-2.0 web1")),
    ] {
        let mut harness = fleet();
        let sent = sent(&mut harness, typed);
        assert_eq!(sent.as_deref(), expected, "{typed:?}\n{}", harness.text());
        if let Some(sent) = sent {
            // A deployment to several hosts opens; a dry run of several hosts opens their changes.
            let words = sent.split(' ').count();
            let context = match sent.starts_with("dry") {
                true if words > 3 => Context::Changes,
                false if words > 2 => Context::Deployment,
                _ => Context::Fleet,
            };
            assert_eq!(harness.app.context(), context, "{typed:?}");
        }
    }
}

#[test]
fn a_host_screen_rolls_back_to_the_selected_generation() {
    for (host, typed, expected) in [
        ("web1", "b>\n", Some("rollback web1")),
        // A failed unit has no generation.
        ("web1", "jb>\n", Some("rollback web1")),
        ("web1", "jjjb>\n", Some("rollback 140 web1")),
        ("web1", "jjjb\n", None),
        ("web1", "Gb\t\n", Some("rollback 133 web1")),
        // One job failed, and the other created no generation.
        ("web1", "jjb>\n", None),
        ("web1", "jjjjb>\n", None),
        // A generation belongs to one host, so the choice of hosts is fixed.
        ("web1", "jjjb\t\t\t\n", Some("rollback 140 web1")),
        ("web1", "\u{12}>\n", Some("reboot web1")),
        ("web1", "D\n", Some("dry-activate main web1")),
        ("ns2", "jb>\n", None),
        ("ns2", "jjb>\nprod\n", Some("rollback 140 ns2")),
        ("ns2", "\u{12}>\nprod\n", Some("reboot ns2")),
        ("old1", "b>\n", None),
        ("old1", "D\n", Some("dry-activate main old1")),
    ] {
        let mut harness = fleet();
        harness.open(host);
        assert_eq!(sent(&mut harness, typed).as_deref(), expected, "{host} {typed:?}\n{}", harness.text());
    }
}

#[test]
fn the_form_names_its_action() {
    for (typed, parts) in [
        (
            "b",
            &[
                "─ roll back ─",
                "back to     the previous system",
                "main 3f2a91c → the previous system",
                "[ Roll back 1 host ]",
            ][..],
        ),
        (
            "jjjb",
            &[
                "─ roll back ─",
                "generation 140",
                "main 3f2a91c → generation 140",
                "[ Cancel ]  [ Roll back 1 host ]",
            ],
        ),
        ("\u{12}", &["─ reboot ─", "main 3f2a91c → reboot", "[ Reboot 1 host ]"]),
        ("D", &["─ dry run ─", "revision    main", "main 3f2a91c → main", "[ Show changes on 1 host ]"]),
        ("d", &["─ deploy ─", "revision    main", "[switch]", "[ Deploy to 1 host ]"]),
    ] {
        let mut harness = fleet();
        harness.open("web1");
        keys(&mut harness, typed);
        let text = harness.text();
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}\n{text}");
        assert_eq!(text.contains("[switch]"), typed == "d");
        assert_eq!(text.contains("│ revision  "), "dD".contains(typed), "{text}");
    }
    let mut harness = fleet();
    keys(&mut harness, "aD");
    assert!(harness.text().contains("[ Show changes on 8 hosts ]"));
}

#[test]
fn an_unsupported_action_is_rejected_with_the_reason() {
    for (typed, reason) in [
        ("b", "the listener on old1 does not support `rollback`: update it; nothing was sent"),
        ("\u{12}", "the listener on old1 does not support `reboot`: update it; nothing was sent"),
    ] {
        let mut harness = fleet();
        harness.go_to("old1");
        assert_eq!(sent(&mut harness, &format!("{typed}>\n")), None);
        assert_eq!(harness.app.context(), Context::Form);
        let text = harness.text();
        assert!(text.contains(reason) && text.matches("nothing was sent").count() == 1, "{reason}\n{text}");
    }
}

#[test]
fn the_error_names_the_action_that_was_not_sent() {
    for (typed, reason) in [
        ("b>\n", "type prod to roll back there; nothing was sent"),
        ("\u{12}>\n", "type prod to reboot there; nothing was sent"),
        ("d\t\t\t\t\t\n", "type prod to deploy there; nothing was sent"),
    ] {
        let mut harness = fleet();
        assert_eq!(sent(&mut harness, typed), None);
        let text = harness.text();
        assert!(text.contains(reason), "{reason}\n{text}");
    }
    let mut harness = fleet();
    harness.open("web1");
    keys(&mut harness, "jjb");
    assert!(harness.text().contains("this job did not create a generation; select another one"));
    assert!(!matches!(harness.app.overlay, Some(Overlay::Form(_))));
}

#[test]
fn marks_survive_a_diff_and_are_cleared_by_a_deployment() {
    let mut harness = fleet();
    assert!(sent(&mut harness, "/web\na^D\n").is_some());
    assert_eq!(harness.app.table.marks.len(), 3);
    assert!(harness.text().contains("sending dry-activate of main to 3 hosts"));
    // The screen of the changes has opened.
    assert!(sent(&mut harness, "^b>\n").is_some());
    assert_eq!(harness.app.table.marks.len(), 0);
    assert!(harness.text().contains("sending rollback to 3 hosts"));
}

/// The lookup of a revision may end after its form was closed.
#[test]
fn a_late_lookup_leaves_the_command_line_alone() {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    keys(&mut harness, ":hold web1");
    harness.apply(ConsoleEvent::RevisionChecked("main".parse().unwrap(), None));
    assert!(
        matches!(&harness.app.overlay, Some(Overlay::Command(line)) if line.input.value() == "hold web1")
    );
}

#[test]
fn the_form_names_hosts_that_the_table_does_not_show() {
    for filter in ["nothing-matches", "host:db1"] {
        let mut harness = fleet();
        keys(&mut harness, &format!("/{filter}\n:deploy tier=test\n"));
        let text = harness.text();
        for host in ["● web1 ", "○ web10 ", "legacy", "test  web"] {
            let host = host.replace("● web1", "web1").replace("○ web10", "web10");
            assert!(text.contains(&host), "no {host:?} in\n{text}");
        }
    }
}

#[test]
fn a_dry_run_does_not_hide_in_the_form_that_the_last_change_failed() {
    let mut harness = fleet();
    let mut dry = report("web1", "d7", Status::Completed);
    dry.action = Some(homelab_deploy::protocol::Action::DryActivate);
    dry.seq = Some(9_000_000);
    harness.receive(noon(), [report_message(dry)]);
    keys(&mut harness, ":deploy web1\n");
    let text = harness.text();
    assert!(text.contains("✗ web1  test  web  main 3f2a91c → main  failed last time"), "{text}");
}

#[test]
fn the_selection_follows_the_host_that_is_deployed() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.app.table.sort = homelab_deploy::tui::Sort::Attention;
    harness.app.table.invalidate();
    harness.draw();
    // The first row is selected, and the operator has not moved.
    assert_eq!(harness.app.table.host(), Some(&name("web1")));
    assert_eq!(sent(&mut harness, "d\n").as_deref(), Some("switch main web1"));
    let mut running = crate::harness::building("web1", "d70");
    running.seq = Some(9_000_000);
    harness.receive(noon(), [report_message(running)]);
    harness.draw();
    let first = harness.app.table.rows().iter().find_map(|row| row.host()).cloned();
    assert_ne!(first, Some(name("web1")));
    let text = harness.text();
    assert_eq!(harness.app.table.host(), Some(&name("web1")), "{text}");
}
