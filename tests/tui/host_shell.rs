//! The shell key: which command, and what is never one.

use crate::keys::keys;
use crate::stage::{PLAIN, Stage, answer, noon, present};
use crossterm::event::KeyCode;
use homelab_deploy::tui::{Context, Effect, Event};

/// A host on whose screen nothing or its first failed unit is selected.
fn stage(host: &str, unit: Option<&str>, template: Option<&str>) -> Stage {
    let mut stage = Stage::new(80, 24, PLAIN);
    stage.app.options.shell = template.map(str::to_owned);
    let mut broken = answer(host, "test", "web");
    broken.failed_units = unit.map(str::to_owned).into_iter().collect();
    stage.hear(noon(), [present(broken)]);
    stage.go_to(host);
    stage.press(KeyCode::Enter);
    if unit.is_some() {
        keys(&mut stage, "j");
        assert_eq!(stage.host().unit(), unit);
    }
    stage.effects();
    stage
}

#[test]
fn the_template_names_the_host_and_on_a_failed_unit_its_journal() {
    let journal = "journalctl -b -e -u";
    for (template, unit, command) in [
        (None, None, "ssh web1".to_owned()),
        (None, Some("nginx.service"), format!("ssh -t web1 {journal} 'nginx.service'")),
        (
            Some("ssh -p 22 root@{host}.lan"),
            Some("a@b:c_d-1.timer"),
            format!("ssh -t -p 22 root@web1.lan {journal} 'a@b:c_d-1.timer'"),
        ),
        (
            Some("docker exec -it {host}"),
            Some("nginx.service"),
            format!("docker exec -it web1 {journal} 'nginx.service'"),
        ),
        (Some("{host} {host}"), None, "web1 web1".to_owned()),
        // What the shell on the host would take away is quoted for it as well.
        (None, Some(r"dev-disk\x2duuid.swap"), format!(r"ssh -t web1 {journal} \''dev-disk\x2duuid.swap'\'")),
        (None, Some("-.mount"), format!("ssh -t web1 {journal} '-.mount'")),
    ] {
        let mut stage = stage("web1", unit, template);
        keys(&mut stage, "x");
        assert_eq!(stage.effects(), [Effect::Shell(command)]);
    }
}

#[test]
fn what_is_no_name_of_a_unit_reaches_no_shell() {
    for unit in [
        "a'; reboot; '",
        "$(reboot)",
        "a b",
        "a\nb",
        "`x`",
        "ü.service",
        "",
        "a;b",
        "\u{1b}[31m",
        "a/b",
        "a*",
    ] {
        let mut stage = stage("web1", Some(unit), None);
        keys(&mut stage, "x");
        assert_eq!(stage.effects(), [], "{unit:?}");
        assert!(stage.text().contains("is no name of a unit, so its journal is not opened"), "{unit:?}");
    }
}

#[test]
fn a_name_that_looks_like_an_option_reaches_no_shell() {
    let mut stage = stage("-Fconfig", None, None);
    keys(&mut stage, "x");
    assert_eq!(stage.effects(), []);
    assert!(stage.text().contains("-Fconfig would be taken for an option"));
}

#[test]
fn how_it_ended_is_told_where_it_did_not_end_well() {
    let mut stage = stage("web1", None, None);
    stage.tell(Event::Shell(Ok(())));
    assert_eq!(stage.app.notice, None);
    stage.tell(Event::Shell(Err("ended with 255: ssh web1".to_owned())));
    assert!(stage.text().contains(" ended with 255: ssh web1 "));
}

#[test]
fn whoever_may_only_look_has_none_of_these_keys() {
    let mut stage = stage("web1", None, None);
    stage.app.options.read_only = true;
    for key in ["x", "b", "\u{12}", "D", "d", "c"] {
        keys(&mut stage, key);
        assert_eq!((stage.app.context(), stage.effects()), (Context::Host, Vec::new()), "{key:?}");
    }
    let text = stage.text();
    assert!(text.contains("\n l log   v deployments   esc back   : command   ? help\n"), "{text}");
    stage.press(KeyCode::Esc);
    for key in ["b", "\u{12}", "D"] {
        keys(&mut stage, key);
        assert_eq!(stage.app.context(), Context::Fleet, "{key:?}");
    }
}
