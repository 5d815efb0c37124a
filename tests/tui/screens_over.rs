//! Screens that lie over the fleet screen, and what a console leaves out that may only look.

use crate::stage::{PLAIN, Stage, name};
use crossterm::event::KeyCode;
use homelab_deploy::tui::{Context, Overlay};

#[test]
fn enter_opens_the_host_and_escape_steps_back() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.go_to("web1");
    stage.press(KeyCode::Enter);
    assert_eq!(stage.app.context(), Context::Host);
    let text = stage.text();
    assert!(text.starts_with(" homelab-deploy ▸ fleet ▸ web1 "), "{text}");
    assert!(text.contains("verification_failed: the health check did not succeed"), "{text}");
    // It is about that host, whatever is marked.
    stage.press(KeyCode::Esc);
    stage.types("a");
    stage.go_to("web1");
    stage.press(KeyCode::Enter);
    stage.types("d");
    let Some(Overlay::Form(form)) = &stage.app.overlay else { panic!("no form") };
    assert_eq!(form.chosen().hosts, [name("web1")]);
    stage.press(KeyCode::Esc);
    stage.press(KeyCode::Esc);
    assert_eq!(stage.app.context(), Context::Fleet);
}

#[test]
fn the_path_keeps_its_end_where_it_is_narrow() {
    let mut stage = Stage::fleet(80, 24, PLAIN);
    stage.app.options.context = Some("a-context-of-some-length".to_owned());
    stage.go_to("web1");
    stage.press(KeyCode::Enter);
    let text = stage.text();
    assert!(text.starts_with(" homelab-deploy ▸ … ▸ fleet ▸ web1 "), "{text}");
}

#[test]
fn what_may_only_look_has_no_keys_that_change_something() {
    let mut stage = Stage::fleet(120, 40, PLAIN);
    stage.app.options.read_only = true;
    stage.go_to("ns1");
    for key in ["d", "c"] {
        stage.types(key);
        assert_eq!(stage.app.context(), Context::Fleet, "{key}");
    }
    let text = stage.text();
    assert!(text.contains("fleet (read-only)"), "{text}");
    assert!(!text.contains("d deploy") && !text.contains("c cancel"), "{text}");
    stage.types("?");
    let text = stage.text();
    assert!(!text.contains("deploy to the marked hosts"), "{text}");
    assert!(text.contains("mark this host"), "{text}");
}
