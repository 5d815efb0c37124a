//! The page about the modules lists every option as it is.

use crate::evaluate::{Library, file};
use crate::options::{options, text};
use std::fmt::Write;
use std::fs;

/// The page's table of a module.
fn table(module: &str) -> String {
    let mut table = "| option | default | example | |\n|---|---|---|---|\n".to_owned();
    for option in options(&Library::Little) {
        let Some(name) = text(&option, "name").strip_prefix(&format!("{module}.")) else { continue };
        let default = match text(&option, "default") {
            "" => String::new(),
            words if words.contains("this repository") => words.to_owned(),
            code => format!("`{code}`"),
        };
        let description = text(&option, "description").split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(table, "| `{name}` | {default} | `{}` | {description} |", text(&option, "example")).unwrap();
    }
    table
}

#[test]
fn the_page_lists_every_option_with_default_example_and_description() {
    let page = fs::read_to_string(file("docs/nixos.md")).unwrap();
    for module in ["listener", "builder", "nats", "operator", "flakeUpdate"] {
        let table = table(module);
        assert!(page.contains(&table), "docs/nixos.md needs this under {module}:\n\n{table}");
    }
}

#[test]
fn what_the_page_begins_with_is_a_listener() {
    let page = fs::read_to_string(file("docs/nixos.md")).unwrap();
    let code = page.split("```nix\n").nth(1).unwrap().split("```").next().unwrap();
    let settings = code.lines().filter(|line| !line.starts_with(['#', 'i'])).collect::<Vec<_>>().join("\n");
    for library in Library::all() {
        assert!(
            library.unit(&settings).contains("--tier prod --nats-url tls://nats.example.org"),
            "{settings}"
        );
    }
}
