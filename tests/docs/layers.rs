//! A module imports only from the layers below its own, and ARCHITECTURE.md names files that exist.

use crate::page::Page;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layer of each module, from the table in ARCHITECTURE.md.
fn layers() -> BTreeMap<String, u8> {
    let page = Page::read("ARCHITECTURE.md").text;
    let table = page.split_once("| layer | modules |\n|---|---|\n").expect("a table of layers").1;
    let mut layers = BTreeMap::new();
    for line in table.lines().map_while(|line| line.strip_prefix("| ")) {
        let (layer, modules) = line.split_once(" | ").unwrap();
        for module in modules.split('`').skip(1).step_by(2) {
            assert_eq!(layers.insert(module.to_owned(), layer.parse().unwrap()), None, "{module} twice");
        }
    }
    layers
}

/// Every source file with its top-level module.
fn files(directory: &Path, module: Option<&str>, found: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let module = module.unwrap_or(stem);
        if path.is_dir() {
            files(&path, Some(module), found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((module.to_owned(), path.clone()));
        }
    }
}

/// The top-level modules that a file names.
fn imports(text: &str) -> BTreeSet<&str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let named = code.flat_map(|line| line.split("crate::").skip(1));
    named.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()).collect()
}

#[test]
fn a_module_imports_only_from_layers_below_its_own() {
    let (layers, mut all) = (layers(), Vec::new());
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), None, &mut all);
    all.retain(|(module, _)| !["lib", "main"].contains(&module.as_str()));
    let modules: BTreeSet<_> = all.iter().map(|(module, _)| module).collect();
    assert_eq!(modules, layers.keys().collect(), "ARCHITECTURE.md does not list exactly the modules of src/");
    let mut wrong = Vec::new();
    for (module, path) in &all {
        let text = fs::read_to_string(path).unwrap();
        for import in imports(&text).into_iter().filter(|import| import != module) {
            let below = layers.get(import).is_some_and(|layer| *layer < layers[module]);
            if !below {
                wrong.push(format!("{}: {module} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The files that start programs without `unattended::command`: with the terminal, in a session that already has none, or to create one.
const STARTS: [&str; 5] = [
    "activation/supervise.rs",
    "demo/supervisor.rs",
    "sandbox/enter.rs",
    "tui/subprocess.rs",
    "unattended.rs",
];

#[test]
fn every_other_program_runs_unattended() {
    let (source, mut all) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), Vec::new());
    files(&source, None, &mut all);
    let starts = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.split("#[cfg(test)]")
            .next()
            .unwrap()
            .replace("clap::Command::new(", "")
            .replace("ResumeCommand::new(", "")
            .contains("Command::new(")
    };
    let starting = all.iter().filter(|(_, path)| starts(path));
    let starting: BTreeSet<_> =
        starting.map(|(_, path)| path.strip_prefix(&source).unwrap().to_str().unwrap()).collect();
    assert_eq!(starting, STARTS.into(), "start it with `unattended::command`");
}

/// Top-level directories whose files ARCHITECTURE.md names.
const NAMED: [&str; 6] = ["src/", "tests/", "docs/", "nixos/", "templates/", "scripts/"];

#[test]
fn the_architecture_names_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let spans = Page::read("ARCHITECTURE.md").spans();
    let named: BTreeSet<_> =
        spans.iter().filter(|span| NAMED.iter().any(|directory| span.starts_with(directory))).collect();
    let missing: Vec<_> = named.iter().filter(|path| !root.join(path).exists()).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names files that do not exist: {missing:?}");
    assert!(named.len() > 150, "only {} files are named: the search is broken", named.len());
}

#[test]
fn module_documentation_refers_to_sections_that_exist() {
    let headings = Page::read("ARCHITECTURE.md").text;
    let headings: BTreeSet<_> = headings.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), None, &mut all);
    let mut found = 0;
    for (_, path) in &all {
        let text = fs::read_to_string(path).unwrap();
        for line in text.lines().filter(|line| line.starts_with("//! See ARCHITECTURE.md")) {
            for section in line.split('"').skip(1).step_by(2) {
                assert!(headings.contains(section), "{}: no section {section:?}", path.display());
                found += 1;
            }
        }
    }
    assert!(found > 15, "only {found} references found: the search is broken");
}
