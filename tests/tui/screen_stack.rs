//! Screens above the fleet screen, and keys that a read-only console does not have.

use crate::harness::{Harness, PLAIN, name};
use crossterm::event::KeyCode;
use homelab_deploy::tui::{Context, Overlay};

#[test]
fn enter_opens_the_host_and_escape_steps_back() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.go_to("web1");
    harness.press(KeyCode::Enter);
    assert_eq!(harness.app.context(), Context::Host);
    let text = harness.text();
    assert!(text.starts_with(" homelab-deploy ▸ fleet ▸ web1 "), "{text}");
    assert!(text.contains("the health check did not succeed"), "{text}");
    // A command applies to the host of the screen, even if other hosts are marked.
    harness.press(KeyCode::Esc);
    harness.type_text("a");
    harness.go_to("web1");
    harness.press(KeyCode::Enter);
    harness.type_text("d");
    let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("no form") };
    assert_eq!(form.selected_choice().hosts, [name("web1")]);
    harness.press(KeyCode::Esc);
    harness.press(KeyCode::Esc);
    assert_eq!(harness.app.context(), Context::Fleet);
}

#[test]
fn a_narrow_terminal_shows_the_end_of_the_path() {
    let mut harness = Harness::fleet(80, 24, PLAIN);
    harness.app.options.context = Some("a-context-of-some-length".to_owned());
    harness.go_to("web1");
    harness.press(KeyCode::Enter);
    let text = harness.text();
    assert!(text.starts_with(" homelab-deploy ▸ … ▸ fleet ▸ web1 "), "{text}");
}

#[test]
fn a_read_only_console_has_no_keys_that_change_something() {
    let mut harness = Harness::fleet(120, 40, PLAIN);
    harness.app.options.read_only = true;
    harness.go_to("ns1");
    for key in ["d", "c"] {
        harness.type_text(key);
        assert_eq!(harness.app.context(), Context::Fleet, "{key}");
    }
    let text = harness.text();
    assert!(text.contains("fleet (read-only)"), "{text}");
    assert!(!text.contains("d deploy") && !text.contains("c cancel"), "{text}");
    harness.type_text("?");
    let text = harness.text();
    assert!(!text.contains("deploy to the marked hosts"), "{text}");
    assert!(text.contains("mark this host"), "{text}");
}
