//! The shell key: its command, and names that must not reach a shell.

use crate::harness::{Harness, PLAIN, answer, noon, presence_message};
use crate::keys::keys;
use crossterm::event::KeyCode;
use homelab_deploy::tui::{ConsoleEvent, Context, Effect};

/// A host screen on which nothing, or the failed unit, is selected.
fn harness(host: &str, unit: Option<&str>, template: Option<&str>) -> Harness {
    let mut harness = Harness::new(80, 24, PLAIN);
    harness.app.options.shell = template.map(str::to_owned);
    let mut broken = answer(host, "test", "web");
    broken.failed_units = unit.map(str::to_owned).into_iter().collect();
    harness.receive(noon(), [presence_message(broken)]);
    harness.go_to(host);
    harness.press(KeyCode::Enter);
    if unit.is_some() {
        keys(&mut harness, "j");
        assert_eq!(harness.host().unit(), unit);
    }
    harness.effects();
    harness
}

#[test]
fn the_command_opens_a_shell_or_the_journal_of_a_failed_unit() {
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
        // A name with backslashes is also quoted for the shell on the host.
        (None, Some(r"dev-disk\x2duuid.swap"), format!(r"ssh -t web1 {journal} \''dev-disk\x2duuid.swap'\'")),
        (None, Some("-.mount"), format!("ssh -t web1 {journal} '-.mount'")),
    ] {
        let mut harness = harness("web1", unit, template);
        keys(&mut harness, "x");
        assert_eq!(harness.effects(), [Effect::Shell(command)]);
    }
}

#[test]
fn an_invalid_unit_name_reaches_no_shell() {
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
        let mut harness = harness("web1", Some(unit), None);
        keys(&mut harness, "x");
        assert_eq!(harness.effects(), [], "{unit:?}");
        assert!(harness.text().contains("journal not opened: invalid unit name"), "{unit:?}");
    }
}

#[test]
fn a_host_name_like_an_option_reaches_no_shell() {
    let mut harness = harness("-Fconfig", None, None);
    keys(&mut harness, "x");
    assert_eq!(harness.effects(), []);
    assert!(harness.text().contains("no shell opened: the host name -Fconfig would be read as an option"));
}

#[test]
fn a_failed_exit_is_shown() {
    let mut harness = harness("web1", None, None);
    harness.apply(ConsoleEvent::Shell(Ok(())));
    assert_eq!(harness.app.notice, None);
    harness.apply(ConsoleEvent::Shell(Err("exited with code 255: ssh web1".to_owned())));
    assert!(harness.text().contains(" exited with code 255: ssh web1 "));
}

#[test]
fn a_read_only_console_has_no_shell_key() {
    let mut harness = harness("web1", None, None);
    harness.app.options.read_only = true;
    for key in ["x", "b", "\u{12}", "D", "d", "c"] {
        keys(&mut harness, key);
        assert_eq!((harness.app.context(), harness.effects()), (Context::Host, Vec::new()), "{key:?}");
    }
    let text = harness.text();
    assert!(text.contains("\n l log   v deployments   esc back   : command   ? help\n"), "{text}");
    harness.press(KeyCode::Esc);
    for key in ["b", "\u{12}", "D"] {
        keys(&mut harness, key);
        assert_eq!(harness.app.context(), Context::Fleet, "{key:?}");
    }
}

#[test]
fn a_shell_opens_from_every_screen_with_a_selected_host() {
    for (typed, host) in [
        ("x", "db1"),
        ("Gx", "web10"),
        ("Hx", "db1"),
        ("vj\nx", "web1"),
        ("vj\nTx", "web1"),
        ("Ex", "web10"),
        ("j\nx", "gw1"),
    ] {
        let mut harness = Harness::fleet(120, 40, PLAIN);
        harness.apply(ConsoleEvent::Frame);
        harness.effects();
        for key in typed.chars() {
            keys(&mut harness, &key.to_string());
            harness.apply(ConsoleEvent::Frame);
        }
        let shells: Vec<_> = harness
            .effects()
            .into_iter()
            .filter_map(|effect| if let Effect::Shell(command) = effect { Some(command) } else { None })
            .collect();
        assert_eq!(shells, [format!("ssh {host}")], "{typed:?}\n{}", harness.text());
    }
}
