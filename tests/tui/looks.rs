//! Ways to look at the table: groups, faults only, other columns; what is copied; what the mouse does and what is remembered.

use crate::stage::{COLOUR, PLAIN, Stage, ago, answer, building, name, noon, present, report, said};
use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use homelab_deploy::deployer::Roster;
use homelab_deploy::protocol::{HostAnswer, Status};
use homelab_deploy::tui::{App, Context, Effect, Event, Memory, Options, Overlay, Sort};
use jiff::SignedDuration;

/// A fleet whose hosts tell of their systems.
fn stage(width: u16, height: u16) -> Stage {
    let mut stage = Stage::fleet(width, height, COLOUR);
    let mut web1 = answer("web1", "test", "web");
    web1.system = Some("/nix/store/new-nixos-system".into());
    web1.booted_system = Some("/nix/store/old-nixos-system".into());
    web1.boot_at = Some(ago(400_000));
    (web1.nix_free_bytes, web1.boot_free_bytes) = (Some(37 << 30), Some(212 << 20));
    web1.version = Some("0.1.0".into());
    let mut ns2 = answer("ns2", "prod", "dns");
    ns2.system = Some("/nix/store/new-nixos-system".into());
    ns2.booted_system.clone_from(&ns2.system);
    stage.hear(ago(3), [present(web1), present(ns2)]);
    stage.tell(Event::Frame);
    stage.effects();
    stage
}

/// The rows on the screen: the first words of each.
fn rows(stage: &mut Stage) -> Vec<String> {
    let text = stage.text();
    let rows = text.lines().skip(4).take_while(|line| line.starts_with('│'));
    let rows = rows.map(|row| row[3..].trim_start_matches(['▸', '✓', ' ']).to_owned());
    rows.map(|row| row.split("  ").next().unwrap_or_default().to_owned())
        .filter(|row| !row.is_empty() && !row.starts_with('│'))
        .collect()
}

fn mouse(stage: &mut Stage, kind: MouseEventKind, column: u16, row: u16) {
    stage.tell(Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
}

#[test]
fn pictures() {
    for (width, height) in [(80, 24), (120, 40), (200, 60)] {
        for (what, keys) in [("grouped", "t"), ("wide", "w"), ("faults", "f")] {
            let mut stage = stage(width, height);
            stage.types(keys);
            insta::assert_debug_snapshot!(format!("{what}-{width}x{height}"), stage.draw());
        }
    }
}

#[test]
fn groups_stand_by_tier_and_role_and_fold() {
    let mut stage = stage(120, 40);
    stage.types("t");
    let open = rows(&mut stage);
    let some =
        ["▼ tier prod, role db", "db1", "▼ tier prod, role dns", "ns1", "ns2", "▼ tier prod, role router"];
    assert_eq!(open[..6], some);
    assert_eq!(open[open.len() - 4..], ["▼ tier test, role web", "web1", "web9", "web10"]);
    // On a host: its group, whose heading is selected then.
    stage.go_to("ns2");
    stage.press(KeyCode::Left);
    let folded = rows(&mut stage);
    assert_eq!(folded[2..4], ["▶ tier prod, role dns", "▼ tier prod, role router"]);
    assert!(
        stage.text().contains("▸  ▶ tier prod, role dns     2 hosts   ▶ 1 deploying"),
        "{}",
        stage.text()
    );
    // What is about a heading is about its hosts, folded or not.
    stage.types("d");
    let Some(Overlay::Form(form)) = &stage.app.overlay else { panic!("no form") };
    assert_eq!(form.chosen().label, "tier prod, role dns");
    assert_eq!(form.chosen().hosts, [name("ns1"), name("ns2")]);
    stage.press(KeyCode::Esc);
    stage.types(" ");
    assert_eq!(stage.app.table.marks, [name("ns1"), name("ns2")].into());
    stage.types("k");
    stage.press(KeyCode::Enter);
    assert_eq!(rows(&mut stage), open, "enter unfolds, as right does");
    stage.types("t");
    assert_eq!(rows(&mut stage)[0], "db1");
}

#[test]
fn only_what_wants_attention() {
    let mut stage = stage(120, 40);
    let mut units = answer("gw1", "prod", "router");
    units.failed_units = vec!["radvd.service".to_owned()];
    stage.hear(ago(2), [present(units)]);
    stage.types("f");
    assert_eq!(rows(&mut stage), ["gw1", "web1", "web9", "web10"]);
    assert!(stage.text().contains("4 of 8 with faults"), "{}", stage.text());
    // What is well again leaves by itself, and escape shows all.
    stage.hear(noon(), [present(answer("gw1", "prod", "router"))]);
    assert_eq!(rows(&mut stage), ["web1", "web9", "web10"]);
    stage.press(KeyCode::Esc);
    assert_eq!(rows(&mut stage).len(), 8);
}

/// The row of a host.
fn row(stage: &mut Stage, host: &str) -> String {
    let text = stage.text();
    let row = text.lines().find(|line| {
        line.starts_with('│') && line[3..].trim_start_matches('▸').trim_start().starts_with(host)
    });
    row.unwrap_or_else(|| panic!("no {host} in\n{text}")).to_owned()
}

/// What is different about a host.
type Change = fn(&mut HostAnswer);

#[test]
fn what_needs_attention_says_why_in_its_row() {
    let units = ["smartd.service", "nfs-mount.mount"].map(str::to_owned);
    // What the host says of itself, and what its row shows at 80 columns and at 160.
    let rows: [(&str, Change, &str, &str); 8] = [
        ("one", |host| host.failed_units.truncate(1), "! unit failed   smartd ", "smartd.service "),
        ("two", |_| {}, "! units failed  smartd, nfs", "smartd.service, nfs-mount.mount "),
        (
            "kept",
            |host| host.held = Some("a disk".into()),
            "! units failed  smartd, nfs",
            ", nfs-mount.mount, held ",
        ),
        (
            "boot",
            |host| {
                host.failed_units.clear();
                host.reboot_needed = Some(true);
            },
            "↻ reboot ",
            "↻ reboot ",
        ),
        (
            "later",
            |host| {
                host.failed_units.clear();
                (host.reboot_needed, host.held) = (Some(true), Some("a disk".into()));
            },
            "● held          ↻ reboot ",
            "● held          ↻ reboot ",
        ),
        (
            "both",
            |host| host.reboot_needed = Some(true),
            "! units failed  smartd",
            ", nfs-mount.mount, ↻ reboot ",
        ),
        ("twin", |host| host.failed_units.clear(), "! duplicate ", "! duplicate "),
        ("well", |host| host.failed_units.clear(), "● idle ", "● idle "),
    ];
    for (width, wide) in [(80, false), (160, true)] {
        let mut stage = Stage::new(width, 30, PLAIN);
        for (host, change, ..) in rows {
            let mut said = answer(host, "test", "web");
            said.failed_units = units.to_vec();
            change(&mut said);
            stage.hear(noon(), [present(said.clone())]);
            if host == "twin" {
                said.instance = Some("another".into());
                stage.hear(noon(), [present(said)]);
            }
        }
        for (host, _, narrow, full) in rows {
            let shown = row(&mut stage, host);
            assert!(shown.contains(if wide { full } else { narrow }), "{shown}");
        }
        stage.types("f");
        let listed: Vec<_> = rows.iter().map(|(host, ..)| *host).filter(|host| *host != "well").collect();
        let mut shown = self::rows(&mut stage);
        shown.sort_unstable_by_key(|host| listed.iter().position(|other| other == host));
        assert_eq!(shown, listed);
        // What needs attention most comes first, and the header and the headings count it.
        stage.types("fsss");
        assert_eq!(self::rows(&mut stage)[..2], ["twin", "both"]);
        assert_eq!(self::rows(&mut stage)[5..], ["boot", "later", "well"]);
        let units = "! 7 failed units";
        assert!(stage.text().lines().nth(1).unwrap().contains(units), "{}", stage.text());
        stage.types("t");
        assert!(row(&mut stage, "▼ tier test, role web").contains(units), "{}", stage.text());
    }
}

#[test]
fn a_job_that_runs_may_mend_what_needs_attention() {
    let mut stage = Stage::new(120, 40, PLAIN);
    let mut broken = answer("web1", "test", "web");
    (broken.failed_units, broken.reboot_needed) = (vec!["nginx.service".to_owned()], Some(true));
    stage.hear(noon(), [present(broken), said(building("web1", "d1"))]);
    stage.types("f");
    assert!(stage.text().contains("no host needs attention"), "{}", stage.text());
    stage.hear(noon(), [said(report("web1", "d1", Status::Completed))]);
    assert_eq!(rows(&mut stage), ["web1"]);
}

#[test]
fn the_columns_of_the_system() {
    let mut stage = stage(160, 40);
    stage.types("w");
    let text = stage.text();
    let row = |host: &str| text.lines().find(|line| line.contains(host)).unwrap().to_owned();
    for told in ["NixOS 26.05", "older", "4 d", "37 GiB", "212 MiB", "0.1.0"] {
        assert!(row("web1").contains(told), "{told} in {}", row("web1"));
    }
    assert!(row("gw1").contains("reboot"), "{}", row("gw1"));
    assert!(row("ns2").contains("same"), "{}", row("ns2"));
}

#[test]
fn names_are_copied() {
    let mut stage = stage(120, 40);
    stage.go_to("ns1");
    stage.effects();
    stage.types("y");
    assert_eq!(stage.effects(), [Effect::Copy("ns1".to_owned())]);
    assert!(stage.text().contains("copied ns1"));
    stage.types("  y");
    assert!(stage.effects().contains(&Effect::Copy("ns1\nns2".to_owned())));
    assert!(stage.text().contains("copied the names of 2 hosts"));
}

#[test]
fn a_click_selects_and_the_wheel_scrolls() {
    let left = MouseEventKind::Down(MouseButton::Left);
    let mut stage = stage(80, 24);
    // The rows begin below the header, the counts, the border and the headings.
    for (row, host) in [(4, "db1"), (6, "ns1"), (11, "web10")] {
        mouse(&mut stage, left, 10, row);
        assert_eq!(stage.app.table.host(), Some(&name(host)), "{row}");
    }
    for elsewhere in [0, 3, 12, 14, 23, 200] {
        mouse(&mut stage, left, 10, elsewhere);
        assert_eq!(stage.app.table.host(), Some(&name("web10")), "{elsewhere}");
    }
    mouse(&mut stage, MouseEventKind::ScrollUp, 10, 5);
    assert_eq!(stage.app.table.host(), Some(&name("old1")));
    mouse(&mut stage, MouseEventKind::ScrollDown, 10, 5);
    assert_eq!(stage.app.table.host(), Some(&name("web10")));
    // A box is over it.
    stage.types("d");
    let before = format!("{:?}", stage.app.overlay);
    mouse(&mut stage, left, 10, 4);
    mouse(&mut stage, MouseEventKind::ScrollDown, 10, 4);
    assert_eq!((stage.app.context(), format!("{:?}", stage.app.overlay)), (Context::Form, before));
}

#[test]
fn looks_are_written_down_once_they_have_changed_and_taken_up_again() {
    let mut stage = stage(120, 40);
    stage.clock(noon());
    assert_eq!(stage.effects(), []);
    stage.types("tswS/tier:test");
    stage.press(KeyCode::Enter);
    stage.press(KeyCode::Left);
    stage.effects();
    let later = noon() + SignedDuration::from_secs(1);
    stage.clock(later);
    let [Effect::Remember(looks)] = &stage.effects()[..] else { panic!("nothing is remembered") };
    stage.clock(later);
    assert_eq!(stage.effects(), []);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b.json");
    looks.save(&file).unwrap();
    let mut again = Stage::fleet(120, 40, PLAIN);
    again.app.recall_looks(Memory::load(&file).unwrap());
    again.types("w");
    stage.types("w");
    assert_eq!(rows(&mut again), rows(&mut stage));
    assert_eq!(again.app.table.filter.text, "tier:test");
    again.clock(later);
    assert_ne!(again.effects(), [], "the wide columns were turned off");

    std::fs::write(&file, r#"{"sort":"colour"}"#).unwrap();
    let said = Memory::load(&file).unwrap_err().to_string();
    assert!(said.starts_with("could not understand how the console was looked at, "), "{said}");
    assert!(said.ends_with("it begins anew"), "{said}");
    std::fs::write(&file, r#"{"filter":"seen>x","sort":"state","from_later":1}"#).unwrap();
    again.app.recall_looks(Memory::load(&file).unwrap());
    assert_eq!(again.app.table.filter.text, "");
    assert_eq!(again.app.table.sort.word(), "state");
    assert_eq!(Memory::load(&folder.path().join("none")).unwrap(), Memory::default());
}

#[test]
fn the_first_order_may_be_another_one() {
    let options = Options { sort: Sort::State, ..Stage::new(80, 24, PLAIN).app.options };
    let mut stage = Stage::fleet(80, 24, PLAIN);
    let known = std::mem::take(&mut stage.app.fleet);
    stage.app = App::new(options, &Roster::default(), stage.app.size, noon());
    stage.app.fleet = known;
    assert_eq!(rows(&mut stage)[..2], ["web1", "ns1"], "{}", stage.text());
    // It is not written down before somebody changes it.
    stage.effects();
    stage.clock(noon());
    assert_eq!(stage.effects(), []);
}
