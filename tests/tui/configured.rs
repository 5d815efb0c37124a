//! A console with configured columns, keys, styles and aliases.

use crate::harness::{COLOUR, Harness, PLAIN, name};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use homelab_deploy::config::Config;
use homelab_deploy::tui::{ConsoleConfig, ConsoleEvent, Context, Effect, Overlay, Theme};
use ratatui::style::{Color, Modifier};
use std::path::Path;

/// A fleet in a console with these lines in `[console]`.
fn configured(width: u16, theme: Theme, lines: &str) -> Harness {
    let config = Config::parse(&format!("[console]\n{lines}"), Path::new("/config.toml"), None).unwrap();
    let config = ConsoleConfig::read(config.console()).unwrap();
    let mut harness = Harness::fleet(width, 40, theme);
    let options = &mut harness.app.options;
    options.theme = theme.with_styles(config.styles);
    (options.columns, options.keys, options.aliases) = (config.columns, config.keys, config.aliases);
    harness
}

fn heading(harness: &mut Harness) -> String {
    let text = harness.text();
    let words = text.lines().nth(6).unwrap().split_whitespace();
    words.filter(|word| word.chars().all(|c| c.is_ascii_uppercase())).collect::<Vec<_>>().join(" ")
}

#[test]
fn columns_are_selected_and_ordered() {
    let lines = "columns = [\"state\", \"host\", \"up\", \"store_free\"]\nsystem_columns = [\"host\", \"what_to_know\"]\n";
    let mut harness = configured(120, PLAIN, lines);
    assert_eq!(heading(&mut harness), "STATE HOST UP STORE FREE");
    // A mark is before the first column, and a narrow table drops the least important columns.
    harness.type_text(" ");
    assert!(harness.text().contains("│ ✓ ■ held              db1 "), "{}", harness.text());
    harness.type_text("w");
    assert_eq!(heading(&mut harness), "HOST WHAT TO KNOW");
    assert_eq!(heading(&mut configured(44, PLAIN, lines)), "STATE HOST STORE FREE");
}

#[test]
fn a_heading_of_a_group_uses_the_whole_width() {
    let mut harness = configured(120, PLAIN, "columns = [\"host\"]\nsystem_columns = [\"host\"]\n");
    harness.type_text("tw");
    assert!(
        harness.text().contains("▾ tier prod, role dns     2 hosts   ▶ 1 deploying "),
        "{}",
        harness.text()
    );
}

#[test]
fn keys_are_replaced_in_input_footer_help_and_messages() {
    let lines = "keys.deploy = [\"f2\", \"alt-d\"]\nkeys.diff = []\nkeys.down = [\"ctrl-n\", \"down\"]\nkeys.search = \"?\"\nkeys.help = \"f1\"\n";
    let mut harness = configured(120, PLAIN, lines);
    assert!(harness.text().lines().last().unwrap().starts_with(" f2 deploy "), "{}", harness.text());
    // The default keys do nothing any more.
    harness.type_text("djD?");
    assert_eq!((harness.app.context(), harness.app.table.row()), (Context::Fleet, 0));
    let ctrl_n = KeyEvent::new(KeyCode::Char('n'), KeyModifiers::CONTROL);
    harness.apply(ConsoleEvent::Key(ctrl_n));
    assert_eq!(harness.app.table.row(), 1);
    harness.apply(ConsoleEvent::Key(KeyEvent::new(KeyCode::Char('d'), KeyModifiers::ALT)));
    assert!(matches!(harness.app.overlay, Some(Overlay::Form(_))));
    // In a form, the keys are fixed.
    harness.apply(ConsoleEvent::Key(ctrl_n));
    harness.press(KeyCode::Esc);
    harness.press(KeyCode::F(1));
    let help = harness.text();
    for shown in ["  f2 alt-d ", "  ctrl-n down ", ", ctrl-n k scroll "] {
        assert!(help.contains(shown), "{shown:?} in\n{help}");
    }
    assert!(!help.contains("dry run"), "a command without a key is not listed\n{help}");
    harness.press(KeyCode::Esc);
    harness.go_to("ns1");
    harness.type_text("ln");
    assert!(harness.text().contains("no search yet; press ? to search"), "{}", harness.text());
}

#[test]
fn styles_are_replaced_unless_there_are_no_colours() {
    let lines =
        "theme.good = \"bold #00aa00\"\ntheme.selected = \"white on blue\"\ntheme.frame = \"green\"\n";
    let buffer = configured(120, COLOUR, lines).draw();
    let cell = |x, y| (buffer[(x, y)].fg, buffer[(x, y)].bg, buffer[(x, y)].modifier);
    assert_eq!(cell(0, 2), (Color::Green, Color::Reset, Modifier::empty()));
    assert_eq!(cell(4, 7), (Color::White, Color::Blue, Modifier::empty()));
    let online = buffer.content().iter().position(|cell| cell.symbol() == "●").unwrap();
    assert_eq!(buffer.content()[online].fg, Color::Rgb(0, 0xaa, 0));
    let mut plain = configured(120, PLAIN, lines);
    assert_eq!(plain.draw(), Harness::fleet(120, 40, PLAIN).draw());
}

#[test]
fn aliases_start_a_command_line() {
    let lines = "aliases.up = \"deploy action=boot branch=next\"\naliases.bad = \"faults\"\n";
    let mut harness = configured(120, PLAIN, lines);
    harness.type_text(":up web1");
    harness.press(KeyCode::Enter);
    let Some(Overlay::Form(form)) = &harness.app.overlay else { panic!("no form") };
    assert_eq!(form.selected_choice().hosts, [name("web1")]);
    assert_eq!((form.revision.value(), form.kind.actions()[form.action].as_str()), ("next", "boot"));
    harness.press(KeyCode::Esc);
    // Completion offers aliases, and the arguments of the command behind one.
    harness.type_text(":u");
    assert!(harness.text().contains("unmark  up\n:u"), "{}", harness.text());
    harness.type_text("p web1");
    assert!(harness.text().contains(" web10 "), "{}", harness.text());
    harness.press(KeyCode::Esc);
    harness.type_text(":bad");
    harness.press(KeyCode::Enter);
    assert!(harness.app.table.faults);
    harness.type_text("?");
    let mut help = String::new();
    for _ in 0..12 {
        help += &harness.text();
        harness.press(KeyCode::PageDown);
    }
    let is_alias =
        |line: &str| line.contains("  :up  ") && line.contains("  alias of deploy action=boot branch=next");
    assert!(help.lines().any(is_alias), "{help}");
    // A read-only console refuses what the command would change.
    harness.press(KeyCode::Esc);
    harness.app.options.read_only = true;
    harness.effects();
    harness.type_text(":up web1");
    harness.press(KeyCode::Enter);
    assert!(harness.text().contains("read-only: deploy is not available"), "{}", harness.text());
    assert!(!harness.effects().iter().any(|effect| matches!(effect, Effect::Send(_))));
}
