//! What is on the screen, looks included.

use crate::stage::{COLOUR, PLAIN, Stage, ago, answer, failed, name, noon, present, said};
use crossterm::event::KeyCode;
use homelab_deploy::deployer::{LogNews, Told};
use homelab_deploy::protocol::Id;
use homelab_deploy::tui::{Event, Fault, LinkState, LogKey, Theme};
use jiff::SignedDuration;
use ratatui::style::{Color, Modifier};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// Brings a fleet to a state and keeps its picture, with every look, at each size.
pub(crate) fn snapshots(what: &str, bring: impl Fn(&mut Stage)) {
    for (width, height) in SIZES {
        let mut stage = Stage::fleet(width, height, COLOUR);
        bring(&mut stage);
        insta::assert_debug_snapshot!(format!("{what}-{width}x{height}"), stage.draw());
    }
}

fn log(stage: &mut Stage, host: &str, job: &str, text: &str) {
    let key = LogKey { host: host.parse().unwrap(), job: Id::new(job).unwrap() };
    stage.tell(Event::Log(key, LogNews::Text { offset: 0, text: text.to_owned() }));
}

#[test]
fn a_host_at_work() {
    snapshots("working", |stage| {
        stage.go_to("ns1");
        log(stage, "ns1", "d2", "resolving main\nbuilding linux-6.12.9.drv\nunpacking sources\n");
        stage.types(" ");
        stage.types("k");
    });
}

#[test]
fn a_host_that_failed() {
    snapshots("failed", |stage| {
        stage.go_to("web1");
        log(stage, "web1", "d1", "curl: (7) connection refused\nactivating the previous system\n");
    });
}

#[test]
fn a_filter_being_typed() {
    snapshots("filter", |stage| stage.types("/tier:test seen>x"));
}

#[test]
fn the_deploy_form() {
    snapshots("form", |stage| {
        stage.go_to("web1");
        stage.types("aj d");
    });
}

/// A host of which everything is known, whose last deployment failed and went back.
fn broken(stage: &mut Stage) {
    let mut known = answer("web1", "test", "web");
    known.system =
        Some("/nix/store/8h3k1q5y0v2r9d7c4x6b1m0n3l5p7s9f-nixos-system-web1-26.05.20261119".into());
    known.booted_system =
        Some("/nix/store/0a1b2c3d4f5g6h7i8j9k0l1m2n3p4q5r-nixos-system-web1-26.05.20261001".into());
    known.reboot_needed = Some(true);
    known.version = Some("0.1.0".into());
    known.boot_at = Some(ago(11 * 86_400));
    (known.nix_free_bytes, known.boot_free_bytes) = (Some(120 << 30), Some(312 << 20));
    known.flake_url = Some("git+https://git.example.org/fleet".into());
    known.failed_units = vec!["smartd.service".to_owned()];
    known.warnings = vec!["the clock is not synchronised".to_owned()];
    let mut job = failed("web1", "d1");
    job.diagnostics =
        Some("curl: (7) connection refused\nnginx.service: Failed with result 'exit-code'.\n".to_owned());
    stage.hear(ago(4), [present(known), said(job)]);
}

#[test]
fn the_screen_of_a_host_that_failed() {
    snapshots("host", |stage| {
        broken(stage);
        stage.open("web1");
        stage.types("jj");
    });
}

#[test]
fn the_screen_of_a_host_at_work_and_without_a_word_of_its_past() {
    snapshots("host-working", |stage| {
        stage.go_to("ns1");
        stage.press(KeyCode::Enter);
        stage.tell(Event::History(name("ns1"), Ok(Told::Silent)));
        stage.tell(Event::Frame);
        log(stage, "ns1", "d2", "resolving main\nbuilding linux-6.12.9.drv\nunpacking sources\n");
    });
}

#[test]
fn the_form_of_a_rollback() {
    snapshots("rollback", |stage| {
        stage.open("ns2");
        stage.types("jjb");
    });
}

#[test]
fn the_form_of_a_dry_run() {
    snapshots("diff", |stage| {
        stage.types("  D");
    });
}

#[test]
fn the_help() {
    snapshots("help", |stage| stage.types("?"));
}

#[test]
fn a_question() {
    snapshots("question", |stage| {
        stage.go_to("ns1");
        stage.types("c");
    });
}

#[test]
fn an_error() {
    snapshots("fault", |stage| {
        let text = "the server refused deploy.prod.ns1: this key has no permission to publish there";
        stage.tell(Event::Fault(Fault { title: "switch main on ns1".to_owned(), text: text.to_owned() }));
    });
}

#[test]
fn a_lost_link() {
    snapshots("lost", |stage| {
        stage.link(LinkState {
            connects: 1,
            reason: Some("the connection was lost".to_owned()),
            next_try: Some(noon() + SignedDuration::from_secs(3)),
            ..LinkState::default()
        });
    });
}

#[test]
fn nothing_to_show_yet() {
    let mut stage = Stage::new(80, 24, COLOUR);
    insta::assert_snapshot!(stage.text());
}

#[test]
fn too_small_says_what_it_needs() {
    for (width, height) in [(39, 10), (40, 9), (20, 3), (1, 1), (0, 0)] {
        let mut stage = Stage::fleet(width, height, COLOUR);
        let said: String = stage.text().chars().filter(|c| !c.is_whitespace()).collect();
        let whole = "atleast40×10,please";
        assert!(
            said == whole
                || said.ends_with('…') && whole.starts_with(said.trim_end_matches('…'))
                || said.is_empty(),
            "{said}"
        );
        assert_eq!(said.is_empty(), width == 0);
    }
    assert!(Stage::fleet(40, 10, COLOUR).text().contains("▸  db1"));
}

#[test]
fn columns_leave_by_priority_and_the_name_stays() {
    let mut before = usize::MAX;
    for (width, columns) in [
        (130, "HOST TIER ROLE STATE PROGRESS REVISION GEN DEPLOYED SEEN"),
        (90, "HOST TIER ROLE STATE PROGRESS REVISION GEN SEEN"),
        (80, "HOST TIER ROLE STATE PROGRESS REVISION SEEN"),
        (70, "HOST TIER ROLE STATE PROGRESS REVISION"),
        (65, "HOST TIER STATE PROGRESS REVISION"),
        (55, "HOST TIER STATE PROGRESS"),
        (40, "HOST STATE PROGRESS"),
    ] {
        let text = Stage::fleet(width, 24, PLAIN).text();
        let heading = text.lines().nth(3).unwrap();
        let words: Vec<_> =
            heading.split_whitespace().filter(|word| word.chars().all(|c| c.is_ascii_uppercase())).collect();
        assert_eq!(words.join(" "), columns, "{width}:\n{text}");
        assert!(words.len() <= before);
        before = words.len();
    }
}

#[test]
fn without_colour_only_modifiers_tell() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.go_to("web1");
    let buffer = stage.draw();
    assert!(buffer.content().iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    let reversed = buffer.content().iter().filter(|cell| cell.modifier.contains(Modifier::REVERSED)).count();
    assert_eq!(reversed, 118, "the row of the selected host, and nothing else");
}

#[test]
fn without_unicode_all_is_ascii() {
    for keys in ["", "?", "d", "/tier:prod"] {
        let mut stage = Stage::fleet(120, 40, Theme { colour: false, unicode: false });
        stage.go_to("ns1");
        stage.types(keys);
        let text = stage.text();
        assert!(
            text.is_ascii(),
            "{:?} in\n{text}",
            text.chars().filter(|c| !c.is_ascii()).collect::<String>()
        );
    }
}

#[test]
fn a_row_in_sight_needs_no_scrolling_and_one_out_of_sight_scrolls() {
    let mut stage = Stage::fleet(60, 10, PLAIN);
    stage.press(KeyCode::End);
    let text = stage.text();
    assert!(text.contains("▸  web10") && !text.contains("db1"), "{text}");
    stage.press(KeyCode::Home);
    assert!(stage.text().contains("▸  db1"));
    stage.clock(ago(-5));
    assert!(stage.text().contains("▸  db1"));
}
