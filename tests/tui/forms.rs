//! The forms of a rollback, a reboot and a dry run: what they send, and that they send nothing else.

use crate::keys::keys;
use crate::stage::{PLAIN, Stage, name, noon, report, said};
use homelab_deploy::protocol::{Difference, ErrorCode, Identity, Inbound, Status};
use homelab_deploy::tui::{Context, Effect, Overlay};

/// What is sent by these keys: `rollback 139 web1`, `reboot db1 gw1`, `dry-activate main web1`.
fn sent(stage: &mut Stage, typed: &str) -> Option<String> {
    stage.effects();
    keys(stage, typed);
    let effects = stage.effects();
    let mut plans = effects.iter().filter_map(|effect| match effect {
        Effect::Send(plan) => Some(plan),
        _ => None,
    });
    let plan = plans.next()?;
    assert!(plans.next().is_none());
    let intent = &plan.intent;
    assert_eq!((intent.issuer.as_str(), intent.keep), ("alice@laptop", false));
    let mut words = vec![intent.action.to_string()];
    words.extend(intent.revision.as_ref().map(ToString::to_string));
    words.extend(intent.generation.map(|generation| generation.to_string()));
    words.extend(plan.hosts().keys().map(ToString::to_string));
    Some(words.join(" "))
}

fn fleet() -> Stage {
    let mut stage = Stage::fleet(120, 50, PLAIN);
    stage.draw();
    stage
}

#[test]
fn an_older_commit_is_offered_once_a_host_has_refused_one() {
    let refused = |message: &str| {
        let mut stage = fleet();
        let mut report = report("web1", "d50", Status::Failed);
        (report.error, report.seq) = (Some(ErrorCode::InvalidRevision), Some(9_000_000));
        message.clone_into(&mut report.message);
        stage.hear(noon(), [said(report)]);
        stage.draw();
        stage
    };
    let older = "commit 3f2a is older than b04c, which this host deployed last from the branch \"main\"; to go back, use \
                 `rollback`, or `deploy --allow-older` for exactly this commit";
    // Which host, the keys in its form, and whether the request allows it.
    for (message, typed, allows) in [
        (older, "/web1\nd\t\t\t>\t\t\n", Some(true)),
        (older, "/web1\nd\t\t\t>>\t\t\n", Some(false)),
        (older, "/web1\nd\t\t\t\t\t\n", Some(false)),
        // A line less.
        (older, "/web9\nd\t\t\t\t\n", Some(false)),
        ("commit 3f2a is on no branch", "/web1\nd\t\t\t\t\n", Some(false)),
        // Its role, in which it is.
        (older, "/web1\nd>\t\t\t\t>\t\t\n", Some(true)),
    ] {
        let mut stage = refused(message);
        stage.effects();
        keys(&mut stage, typed);
        let sent = stage.effects().into_iter().find_map(|effect| match effect {
            Effect::Send(plan) => Some(plan.intent.allow_older),
            _ => None,
        });
        assert_eq!(sent, allows, "{typed:?}\n{}", stage.text());
    }
    let mut stage = refused(older);
    keys(&mut stage, "/web1\nd\t\t\t>");
    assert!(stage.text().contains("older       refused  [allowed]"), "{}", stage.text());
}

#[test]
fn a_host_that_has_changed_is_left_out_of_a_group_and_refused_if_it_was_marked() {
    let changed = || {
        let mut stage = fleet();
        let differs = Some(Difference::Tier { known: name("prod"), now: name("test") });
        stage.hear(noon(), [Inbound::Identity(name("web10"), Identity { differs, ..Identity::default() })]);
        stage.draw();
        stage
    };
    let mut stage = changed();
    assert_eq!(sent(&mut stage, "/web1\nb\t\t>"), None);
    let text = stage.text();
    assert!(text.contains("left out: changed: it is known in tier prod and now says test"), "{text}");
    assert!(text.contains("Roll back 2 hosts"), "{text}");
    assert_eq!(sent(&mut stage, "\t\t\n").as_deref(), Some("rollback web1 web9"));

    let mut stage = changed();
    assert_eq!(sent(&mut stage, "/web\na^b>\n"), None);
    assert!(stage.text().contains("web10 has changed: it is known in tier prod"), "{}", stage.text());
}

#[test]
fn on_the_fleet_screen_for_the_marked_hosts_or_the_selected_one() {
    for (typed, expected) in [
        // The default is to send nothing.
        ("/web1\nb\n", None),
        ("/web1\nb^", None),
        ("/web1\n\u{12}\n", None),
        ("/web1\nb>\n", Some("rollback web1")),
        ("/web1\nb\t\n", Some("rollback web1")),
        ("/web1\n\u{12}>\n", Some("reboot web1")),
        ("/web1\n\u{12}>>\n", None),
        ("/web\na^b>\n", Some("rollback web1 web10 web9")),
        ("/web\na\u{12}>\n", Some("reboot web1 web10 web9")),
        // The role, and then the whole tier, which one of its hosts cannot.
        ("/web1\nb\t\t>\t\t\n", Some("rollback web1 web10 web9")),
        ("/web1\nb\t\t>>\t\t\n", None),
        // A tier that matters is typed; where it is not, that is where keys go.
        ("b>\n", None),
        ("\u{12}>\nprod\n>\n", Some("reboot db1")),
        ("b>\npro\n>\n", None),
        ("  b>\nprod\n>\n", Some("rollback db1 gw1")),
        // To look, enter is enough, whatever the tier.
        ("D\n", Some("dry-activate main db1")),
        ("  D\n", Some("dry-activate main db1 gw1")),
        ("D<\n", None),
        ("D^", None),
        ("/web1\nD\t\t-2.0\n\t\n", Some("dry-activate main-2.0 web1")),
    ] {
        let mut stage = fleet();
        let sent = sent(&mut stage, typed);
        assert_eq!(sent.as_deref(), expected, "{typed:?}\n{}", stage.text());
        if sent.is_some() {
            assert_eq!(stage.app.context(), Context::Fleet);
        }
    }
}

#[test]
fn on_the_screen_of_a_host_for_the_generation_that_is_selected() {
    for (host, typed, expected) in [
        ("web1", "b>\n", Some("rollback web1")),
        // A failed unit has no generation.
        ("web1", "jb>\n", Some("rollback web1")),
        ("web1", "jjjb>\n", Some("rollback 140 web1")),
        ("web1", "jjjb\n", None),
        ("web1", "Gb\t\n", Some("rollback 133 web1")),
        // That job failed, and this one changed nothing.
        ("web1", "jjb>\n", None),
        ("web1", "jjjjb>\n", None),
        // No other host has the same generations.
        ("web1", "jjjb\t\t\t\n", Some("rollback 140 web1")),
        ("web1", "\u{12}>\n", Some("reboot web1")),
        ("web1", "D\n", Some("dry-activate main web1")),
        ("ns2", "jb>\n", None),
        ("ns2", "jjb>\nprod\n>\n", Some("rollback 140 ns2")),
        ("ns2", "\u{12}>\nprod\n>\n", Some("reboot ns2")),
        ("old1", "b>\n", None),
        ("old1", "D\n", Some("dry-activate main old1")),
    ] {
        let mut stage = fleet();
        stage.open(host);
        assert_eq!(sent(&mut stage, typed).as_deref(), expected, "{host} {typed:?}\n{}", stage.text());
    }
}

#[test]
fn the_form_names_what_it_does() {
    for (typed, parts) in [
        (
            "b",
            &[
                "─ roll back ─",
                "back to     the previous system",
                "main 3f2a91c ▸ the previous system",
                "[ Roll back 1 host ]",
            ][..],
        ),
        (
            "jjjb",
            &[
                "─ roll back ─",
                "generation 140",
                "main 3f2a91c ▸ generation 140",
                "[ Cancel ]  [ Roll back 1 host ]",
            ],
        ),
        ("\u{12}", &["─ reboot ─", "main 3f2a91c ▸ reboot", "[ Reboot 1 host ]"]),
        (
            "D",
            &[
                "─ what would change ─",
                "revision    main",
                "main 3f2a91c ▸ main",
                "[ Show what would change on 1 host ]",
            ],
        ),
        ("d", &["─ deploy ─", "revision    main", "[switch]", "[ Deploy to 1 host ]"]),
    ] {
        let mut stage = fleet();
        stage.open("web1");
        keys(&mut stage, typed);
        let text = stage.text();
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}\n{text}");
        assert_eq!(text.contains("[switch]"), typed == "d");
        assert_eq!(text.contains("│ revision  "), "dD".contains(typed), "{text}");
    }
    let mut stage = fleet();
    keys(&mut stage, "aD");
    assert!(stage.text().contains("[ Show what would change on 8 hosts ]"));
}

#[test]
fn what_a_host_cannot_do_is_refused_with_the_reason() {
    for (typed, why) in [
        ("b", "the listener on old1 cannot do `rollback`; update it, nothing was sent"),
        ("\u{12}", "the listener on old1 cannot do `reboot`; update it, nothing was sent"),
    ] {
        let mut stage = fleet();
        stage.go_to("old1");
        assert_eq!(sent(&mut stage, &format!("{typed}>\n")), None);
        assert_eq!(stage.app.context(), Context::Form);
        let text = stage.text();
        assert!(text.contains(why) && text.matches("nothing was sent").count() == 1, "{why}\n{text}");
    }
}

#[test]
fn why_it_was_not_sent_names_what_was_to_be_done() {
    for (typed, why) in [
        ("b>\n", "type prod to roll back there; nothing was sent"),
        ("\u{12}>\n", "type prod to reboot there; nothing was sent"),
        ("d\t\t\t\t\t\n", "type prod to deploy there; nothing was sent"),
    ] {
        let mut stage = fleet();
        assert_eq!(sent(&mut stage, typed), None);
        let text = stage.text();
        assert!(text.contains(why), "{why}\n{text}");
    }
    let mut stage = fleet();
    stage.open("web1");
    keys(&mut stage, "jjb");
    assert!(stage.text().contains("that job made no generation to go back to; select another"));
    assert!(!matches!(stage.app.overlay, Some(Overlay::Form(_))));
}

#[test]
fn marks_stay_after_a_look_and_go_with_what_changes() {
    let mut stage = fleet();
    assert!(sent(&mut stage, "/web\na^D\n").is_some());
    assert_eq!(stage.app.table.marks.len(), 3);
    assert!(stage.text().contains("sending dry-activate of main to 3 hosts"));
    assert!(sent(&mut stage, "b>\n").is_some());
    assert_eq!(stage.app.table.marks.len(), 0);
    assert!(stage.text().contains("sending rollback to 3 hosts"));
}
