//! A module imports only from the layers below its own, as the README's table has them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The layer of each module, from the README.
fn layers() -> BTreeMap<String, u8> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let table = readme.split_once("| layer | modules |\n|---|---|\n").expect("the table of layers").1;
    let mut layers = BTreeMap::new();
    for line in table.lines().map_while(|line| line.strip_prefix("| ")) {
        let (layer, modules) = line.split_once(" | ").unwrap();
        for module in modules.split('`').skip(1).step_by(2) {
            assert_eq!(layers.insert(module.to_owned(), layer.parse().unwrap()), None, "{module} twice");
        }
    }
    layers
}

/// Every source file with the module at the top that it belongs to.
fn files(folder: &Path, module: Option<&str>, found: &mut Vec<(String, PathBuf)>) {
    for entry in fs::read_dir(folder).unwrap() {
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

/// The modules at the top that a file names.
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
    assert_eq!(modules, layers.keys().collect(), "the README lists other modules than there are");
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

/// Where programs are started, or become this process: for the terminal, in a session that has none already, or to make it so.
const STARTS: [&str; 5] =
    ["activation/launch.rs", "demo/keeper.rs", "nix/sandbox/enter.rs", "tui/lend.rs", "unattended.rs"];

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
            .contains("Command::new(")
    };
    let starting = all.iter().filter(|(_, path)| starts(path));
    let starting: BTreeSet<_> =
        starting.map(|(_, path)| path.strip_prefix(&source).unwrap().to_str().unwrap()).collect();
    assert_eq!(starting, STARTS.into(), "start it with `unattended::command`");
}
