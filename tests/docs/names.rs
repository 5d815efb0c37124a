//! Names and sizes that make the code easy to search: unique type names, file names from the glossary, files of a readable size.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest number of lines of a source file.
const MAX_LINES: usize = 600;
/// The largest number of characters of a line of documentation, except in tables.
const MAX_DOCS_LINE: usize = 200;
/// The largest number of characters of a line of help.
const MAX_HELP_LINE: usize = 80;
/// File and directory names that the glossary replaces.
const REPLACED: [&str; 61] = [
    "again",
    "answer",
    "at_hand",
    "behind",
    "blot",
    "boxes",
    "broker",
    "bus",
    "call",
    "chosen",
    "complaint",
    "day",
    "deployer",
    "door",
    "durable",
    "estimate",
    "findings",
    "flow",
    "folder",
    "given",
    "hear",
    "hints",
    "host_answer",
    "inbox",
    "in_waves",
    "join",
    "keeper",
    "kept",
    "lane",
    "launch",
    "lend",
    "live",
    "log_answer",
    "log_part",
    "manager",
    "narration",
    "natural",
    "news",
    "order",
    "orders",
    "out",
    "outside",
    "owner",
    "past",
    "permit",
    "phase_line",
    "prove",
    "prover",
    "purpose",
    "questions",
    "roster",
    "said",
    "seen",
    "standing",
    "tally",
    "verdict",
    "verdicts",
    "wave",
    "waves",
    "wish",
    "words",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a directory of the repository.
fn rust_files(directory: &str) -> Vec<PathBuf> {
    let (mut left, mut found) = (vec![root().join(directory)], Vec::new());
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The name of the type that a line of Rust defines.
fn defined_type(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let first = words.find(|word| *word != "pub" && !word.starts_with("pub("))?;
    ["struct", "enum", "trait", "union", "type"].contains(&first).then_some(())?;
    let name = words.next()?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

#[test]
fn every_type_name_is_unique_in_the_crate() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in rust_files("src") {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            // An associated type has the name that its trait gives it.
            let is_associated = line.starts_with(' ') && line.trim_start().starts_with("type ");
            if let Some(name) = defined_type(line).filter(|_| !is_associated) {
                let place = format!("{}:{}", path.strip_prefix(root()).unwrap().display(), number + 1);
                places.entry(name.to_owned()).or_default().push(place);
            }
        }
    }
    let twice: Vec<_> = places.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(twice.is_empty(), "defined more than once: {twice:#?}");
    assert!(places.len() > 300, "only {} types found: the search is broken", places.len());
}

#[test]
fn no_file_has_a_name_that_the_glossary_replaces() {
    let mut wrong = Vec::new();
    for path in ["src", "tests", "benches"].into_iter().flat_map(rust_files) {
        let path = path.strip_prefix(root()).unwrap();
        let parts = path.iter().map(|part| part.to_str().unwrap());
        if parts.map(|part| part.trim_end_matches(".rs")).any(|part| REPLACED.contains(&part)) {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "docs/glossary.md has the word to use: {wrong:#?}");
}

#[test]
fn no_source_file_is_too_long() {
    let lines = |path: &PathBuf| fs::read_to_string(path).unwrap().lines().count();
    let long: Vec<_> = rust_files("src").into_iter().filter(|path| lines(path) > MAX_LINES).collect();
    assert!(long.is_empty(), "more than {MAX_LINES} lines: {long:#?}");
}

#[test]
fn no_line_of_documentation_is_too_long() {
    let pages = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let at_the_top = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"];
    let mut wrong = Vec::new();
    for page in pages.chain(at_the_top.map(|name| root().join(name))) {
        for (number, line) in fs::read_to_string(&page).unwrap().lines().enumerate() {
            if line.chars().count() > MAX_DOCS_LINE && !line.starts_with('|') {
                wrong.push(format!("{}:{}", page.strip_prefix(root()).unwrap().display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "more than {MAX_DOCS_LINE} characters: {wrong:#?}");
}

#[test]
fn no_line_of_help_is_wider_than_a_terminal() {
    let snapshots = fs::read_dir(root().join("tests/operator/snapshots")).unwrap();
    let mut wrong = Vec::new();
    for path in snapshots.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.contains("help-") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let body = text.splitn(3, "---\n").nth(2).unwrap();
        // clap does not wrap the usage.
        let lines = body.lines().filter(|line| !line.starts_with("Usage:"));
        let wide = lines.filter(|line| line.chars().count() > MAX_HELP_LINE);
        wrong.extend(wide.map(|line| format!("{name}: {line}")));
    }
    assert!(wrong.is_empty(), "more than {MAX_HELP_LINE} characters: {wrong:#?}");
}
