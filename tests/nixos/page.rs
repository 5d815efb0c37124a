//! The page about the modules lists every option as it is. `REFERENCE=write make test-nixos` writes its tables.

use crate::evaluate::{Library, file};
use crate::options::{options, text};
use std::fmt::Write;
use std::fs;

const MODULES: [&str; 6] = ["listener", "builder", "nats", "operator", "monitoring", "flakeUpdate"];
const HEAD: &str = "| option | type | default | example | |\n|---|---|---|---|---|\n";

/// The page's table of a module.
fn table(library: &Library, module: &str) -> String {
    let mut table = HEAD.to_owned();
    for option in options(library) {
        let Some(name) = text(&option, "name").strip_prefix(&format!("{module}.")) else { continue };
        let default = match text(&option, "default") {
            "" => String::new(),
            words if words.contains("this repository") => words.to_owned(),
            code => format!("`{code}`"),
        };
        let description = text(&option, "description").split_whitespace().collect::<Vec<_>>().join(" ");
        let example = text(&option, "example");
        writeln!(table, "| `{name}` | {} | {default} | `{example}` | {description} |", text(&option, "type"))
            .unwrap();
    }
    table
}

/// A table without the column of types, which only the real library knows.
fn without_types(table: &str) -> String {
    let row = |line: &str| {
        let (name, rest) = line.trim_start_matches("| ").split_once(" | ").unwrap();
        format!("{name} | {}", rest.split_once(" | ").unwrap().1)
    };
    table.lines().filter(|line| !line.starts_with("|-")).map(row).collect::<Vec<_>>().join("\n")
}

/// The table below a module's heading, as it stands there.
fn written<'a>(page: &'a str, module: &str) -> &'a str {
    let (_, chapter) = page.split_once(&format!("\n## {module}\n")).expect("a chapter for each module");
    let table = &chapter[chapter.find(HEAD).expect("a table")..];
    table.split_once("\n\n").map_or(table, |(table, _)| table).trim_end()
}

#[test]
fn the_page_lists_every_option_with_default_example_and_description() {
    let page = fs::read_to_string(file("docs/nixos.md")).unwrap();
    for module in MODULES {
        let table = table(&Library::Little, module);
        assert_eq!(
            without_types(written(&page, module)),
            without_types(&table),
            "the table of {module}; REFERENCE=write make test-nixos writes it"
        );
    }
}

#[test]
#[ignore = "needs nixpkgs' library: make test-nixos with NIXPKGS_LIB"]
fn the_page_lists_every_option_with_its_type() {
    let path = file("docs/nixos.md");
    let mut page = fs::read_to_string(&path).unwrap();
    let write = std::env::var("REFERENCE").is_ok_and(|value| value == "write");
    for module in MODULES {
        let table = table(&Library::real(), module);
        if write {
            let (before, chapter) = page.split_at(page.find(&format!("\n## {module}\n")).unwrap());
            page = format!("{before}{}", chapter.replacen(written(chapter, module), table.trim_end(), 1));
        }
        assert_eq!(written(&page, module), table.trim_end(), "REFERENCE=write make test-nixos writes it");
    }
    if write {
        fs::write(&path, page).unwrap();
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
