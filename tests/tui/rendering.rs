//! Display options of the table: groups, faults and columns; also copying, the mouse and the view state.

use crate::harness::{
    COLOUR, Harness, PLAIN, ago, answer, assert_frame, building, name, noon, presence_message, report,
    report_message,
};
use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use homelab_deploy::client::Inventory;
use homelab_deploy::protocol::{Presence, Status};
use homelab_deploy::tui::{App, ConsoleEvent, Context, Effect, Options, Overlay, Sort, ViewState};
use jiff::SignedDuration;

/// A fleet whose hosts report their systems.
fn harness(width: u16, height: u16) -> Harness {
    let mut harness = Harness::fleet(width, height, COLOUR);
    let mut web1 = answer("web1", "test", "web");
    web1.system = Some("/nix/store/new-nixos-system".into());
    web1.booted_system = Some("/nix/store/old-nixos-system".into());
    web1.booted_at = Some(ago(400_000));
    (web1.nix_free_bytes, web1.boot_free_bytes) = (Some(37 << 30), Some(212 << 20));
    web1.version = Some("0.1.0".into());
    let mut ns2 = answer("ns2", "prod", "dns");
    ns2.system = Some("/nix/store/new-nixos-system".into());
    ns2.booted_system.clone_from(&ns2.system);
    harness.receive(ago(3), [presence_message(web1), presence_message(ns2)]);
    harness.apply(ConsoleEvent::Frame);
    harness.effects();
    harness
}

/// The visible rows, each up to its first gap.
fn rows(harness: &mut Harness) -> Vec<String> {
    let text = harness.text();
    let rows = text.lines().skip_while(|line| !line.contains("  HOST ")).skip(1);
    let rows = rows.take_while(|line| line.starts_with('│'));
    let rows = rows.map(|row| row[3..].trim_start_matches('▸').trim_start_matches(['✓', ' ']).to_owned());
    rows.map(|row| row.split("  ").next().unwrap_or_default().to_owned())
        .filter(|row| !row.is_empty() && !row.starts_with('│'))
        .collect()
}

fn mouse(harness: &mut Harness, kind: MouseEventKind, column: u16, row: u16) {
    harness.apply(ConsoleEvent::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
}

#[test]
fn snapshots_of_the_console() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        for (what, keys) in [("grouped", "t"), ("wide", "w"), ("faults", "f")] {
            let mut harness = harness(width, height);
            harness.type_text(keys);
            assert_frame!(format!("{what}-{width}x{height}"), harness);
        }
    }
}

#[test]
fn groups_are_by_tier_and_role_and_can_be_folded() {
    let mut harness = harness(120, 40);
    harness.type_text("t");
    let open = rows(&mut harness);
    let some =
        ["▾ tier prod, role db", "db1", "▾ tier prod, role dns", "ns1", "ns2", "▾ tier prod, role router"];
    assert_eq!(open[..6], some);
    assert_eq!(open[open.len() - 4..], ["▾ tier test, role web", "web1", "web9", "web10"]);
    // On a host, its group is folded and the heading selected.
    harness.go_to("ns2");
    harness.press(KeyCode::Left);
    let folded = rows(&mut harness);
    assert_eq!(folded[2..4], ["▸ tier prod, role dns", "▾ tier prod, role router"]);
    assert!(
        harness.text().contains("▸  ▸ tier prod, role dns     2 hosts   ▶ 1 deploying"),
        "{}",
        harness.text()
    );
    // A command on a heading applies to its hosts, folded or not.
    harness.type_text("d");
    let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("no form") };
    assert_eq!(form.selected_choice().label, "tier prod, role dns");
    assert_eq!(form.selected_choice().hosts, [name("ns1"), name("ns2")]);
    harness.press(KeyCode::Esc);
    harness.type_text(" ");
    assert_eq!(harness.app.table.marks, [name("ns1"), name("ns2")].into());
    harness.type_text("k");
    harness.press(KeyCode::Enter);
    assert_eq!(rows(&mut harness), open, "enter unfolds, as right does");
    harness.type_text("t");
    assert_eq!(rows(&mut harness)[0], "db1");
}

#[test]
fn only_hosts_that_need_attention() {
    let mut harness = harness(120, 40);
    let mut units = answer("gw1", "prod", "router");
    units.failed_units = vec!["radvd.service".to_owned()];
    harness.receive(ago(2), [presence_message(units)]);
    harness.type_text("f");
    assert_eq!(rows(&mut harness), ["db1", "gw1", "web1", "web9", "web10"]);
    assert!(harness.text().contains("5 of 8 with faults"), "{}", harness.text());
    // A host that has recovered disappears from the list, and escape shows all.
    harness.receive(noon(), [presence_message(answer("gw1", "prod", "router"))]);
    assert_eq!(rows(&mut harness), ["db1", "web1", "web9", "web10"]);
    harness.press(KeyCode::Esc);
    assert_eq!(rows(&mut harness).len(), 8);
}

/// The row of a host.
fn row(harness: &mut Harness, host: &str) -> String {
    let text = harness.text();
    let row = text.lines().find(|line| {
        line.starts_with('│') && line[3..].trim_start_matches('▸').trim_start().starts_with(host)
    });
    row.unwrap_or_else(|| panic!("no {host} in\n{text}")).to_owned()
}

/// A change to the facts of a host.
type Change = fn(&mut Presence);

#[test]
fn a_row_explains_why_it_needs_attention() {
    let units = ["smartd.service", "nfs-mount.mount"].map(str::to_owned);
    // The facts of the host, and its row in 80 and in 160 columns.
    let rows: [(&str, Change, &str, &str); 8] = [
        (
            "one",
            |host| host.failed_units.truncate(1),
            "! unit failed    smartd.service failed",
            "smartd.service failed ",
        ),
        ("two", |_| {}, "! units failed   smartd.service, nfs-", "smartd.service, nfs-mount.mount failed "),
        (
            "kept",
            |host| host.held = Some("a disk".into()),
            "! units failed   smartd.service, nfs",
            "nfs-mount.mount failed  held: a disk ",
        ),
        (
            "boot",
            |host| {
                host.failed_units.clear();
                host.reboot_needed = Some(true);
            },
            "↻ needs reboot ",
            "↻ needs reboot ",
        ),
        (
            "later",
            |host| {
                host.failed_units.clear();
                (host.reboot_needed, host.held) = (Some(true), Some("a disk".into()));
            },
            "↻ needs reboot ",
            "held: a di",
        ),
        (
            "both",
            |host| host.reboot_needed = Some(true),
            "! units failed   smartd",
            "nfs-mount.mount failed  needs reboot ",
        ),
        ("twin", |host| host.failed_units.clear(), "! duplicate ", "2 listeners use this name"),
        ("well", |host| host.failed_units.clear(), "● idle ", "● idle "),
    ];
    for (width, wide) in [(80, false), (160, true)] {
        let mut harness = Harness::new(width, 30, PLAIN);
        for (host, change, ..) in rows {
            let mut presence = answer(host, "test", "web");
            presence.failed_units = units.to_vec();
            change(&mut presence);
            harness.receive(noon(), [presence_message(presence.clone())]);
            if host == "twin" {
                presence.instance = Some("another".into());
                harness.receive(noon(), [presence_message(presence)]);
            }
        }
        for (host, _, narrow, full) in rows {
            let shown = row(&mut harness, host);
            assert!(shown.contains(if wide { full } else { narrow }), "{shown}");
        }
        harness.type_text("f");
        let listed: Vec<_> = rows.iter().map(|(host, ..)| *host).filter(|host| *host != "well").collect();
        let mut shown = self::rows(&mut harness);
        shown.sort_unstable_by_key(|host| listed.iter().position(|other| other == host));
        assert_eq!(shown, listed);
        // Hosts that need most attention come first, and header and headings count the units.
        harness.type_text("fsss");
        assert_eq!(self::rows(&mut harness)[..2], ["twin", "both"]);
        assert_eq!(self::rows(&mut harness)[5..], ["boot", "later", "well"]);
        let units = "! 7 failed units";
        assert!(harness.text().lines().nth(1).unwrap().contains(units), "{}", harness.text());
        harness.type_text("t");
        assert!(row(&mut harness, "▾ tier test, role web").contains(units), "{}", harness.text());
    }
}

#[test]
fn a_running_job_hides_the_need_for_attention() {
    let mut harness = Harness::new(120, 40, PLAIN);
    let mut broken = answer("web1", "test", "web");
    (broken.failed_units, broken.reboot_needed) = (vec!["nginx.service".to_owned()], Some(true));
    harness.receive(noon(), [presence_message(broken), report_message(building("web1", "d1"))]);
    harness.type_text("f");
    assert!(harness.text().contains("no host needs attention"), "{}", harness.text());
    harness.receive(noon(), [report_message(report("web1", "d1", Status::Completed))]);
    assert_eq!(rows(&mut harness), ["web1"]);
}

#[test]
fn the_columns_of_the_system() {
    let mut harness = harness(160, 40);
    harness.type_text("w");
    let text = harness.text();
    let row = |host: &str| text.lines().find(|line| line.contains(host)).unwrap().to_owned();
    for shown in ["NixOS 26.05", "older", "4 d", "37 GiB", "212 MiB", "0.1.0"] {
        assert!(row("web1").contains(shown), "{shown} in {}", row("web1"));
    }
    assert!(row("gw1").contains("reboot"), "{}", row("gw1"));
    assert!(row("ns2").contains("same"), "{}", row("ns2"));
}

#[test]
fn names_are_copied() {
    let mut harness = harness(120, 40);
    harness.go_to("ns1");
    harness.effects();
    harness.type_text("y");
    assert_eq!(harness.effects(), [Effect::Copy("ns1".to_owned())]);
    assert!(harness.text().contains("copied ns1"));
    harness.type_text("  y");
    assert!(harness.effects().contains(&Effect::Copy("ns1\nns2".to_owned())));
    assert!(harness.text().contains("copied the names of 2 hosts"));
}

#[test]
fn a_click_selects_and_the_wheel_scrolls() {
    let left = MouseEventKind::Down(MouseButton::Left);
    let mut harness = harness(80, 24);
    // The rows start below the header, the counts, the frame and the column headings.
    for (row, host) in [(7, "db1"), (9, "ns1"), (14, "web10")] {
        mouse(&mut harness, left, 10, row);
        assert_eq!(harness.app.table.host(), Some(&name(host)), "{row}");
    }
    for elsewhere in [0, 3, 6, 15, 17, 23, 200] {
        mouse(&mut harness, left, 10, elsewhere);
        assert_eq!(harness.app.table.host(), Some(&name("web10")), "{elsewhere}");
    }
    mouse(&mut harness, MouseEventKind::ScrollUp, 10, 8);
    assert_eq!(harness.app.table.host(), Some(&name("old1")));
    mouse(&mut harness, MouseEventKind::ScrollDown, 10, 8);
    assert_eq!(harness.app.table.host(), Some(&name("web10")));
    // A dialog covers the table.
    harness.type_text("d");
    let before = format!("{:?}", harness.app.overlay);
    mouse(&mut harness, left, 10, 4);
    mouse(&mut harness, MouseEventKind::ScrollDown, 10, 4);
    assert_eq!((harness.app.context(), format!("{:?}", harness.app.overlay)), (Context::Form, before));
}

#[test]
fn a_changed_view_state_is_saved_and_restored() {
    let mut harness = harness(120, 40);
    harness.clock(noon());
    assert_eq!(harness.effects(), []);
    harness.type_text("tswS/tier:test");
    harness.press(KeyCode::Enter);
    harness.press(KeyCode::Left);
    harness.effects();
    let later = noon() + SignedDuration::from_secs(1);
    harness.clock(later);
    let [Effect::SaveViewState(view_state)] = &harness.effects()[..] else {
        panic!("no view state is saved")
    };
    harness.clock(later);
    assert_eq!(harness.effects(), []);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a/b.json");
    view_state.save(&file).unwrap();
    let mut again = Harness::fleet(120, 40, PLAIN);
    again.app.restore_view_state(ViewState::load(&file).unwrap());
    again.type_text("w");
    harness.type_text("w");
    assert_eq!(rows(&mut again), rows(&mut harness));
    assert_eq!(again.app.table.filter.text, "tier:test");
    again.clock(later);
    assert_ne!(again.effects(), [], "the wide columns were turned off");

    std::fs::write(&file, r#"{"sort":"colour"}"#).unwrap();
    let error = ViewState::load(&file).unwrap_err().to_string();
    assert!(error.starts_with("invalid view state "), "{error}");
    assert!(error.ends_with("the default is used"), "{error}");
    std::fs::write(&file, r#"{"filter":"seen>x","sort":"state","from_later":1}"#).unwrap();
    again.app.restore_view_state(ViewState::load(&file).unwrap());
    assert_eq!(again.app.table.filter.text, "");
    assert_eq!(again.app.table.sort.word(), "state");
    assert_eq!(ViewState::load(&directory.path().join("none")).unwrap(), ViewState::default());
}

#[test]
fn the_initial_sort_order_can_be_configured() {
    let options = Options { sort: Sort::State, ..Harness::new(80, 24, PLAIN).app.options };
    let mut harness = Harness::fleet(80, 24, PLAIN);
    let known = std::mem::take(&mut harness.app.fleet);
    harness.app = App::new(options, &Inventory::default(), harness.app.size, noon());
    harness.app.fleet = known;
    assert_eq!(rows(&mut harness)[..2], ["web1", "web10"], "{}", harness.text());
    // The view state is not saved before the operator changes it.
    harness.effects();
    harness.clock(noon());
    assert_eq!(harness.effects(), []);
}
