//! Finds inputs in a `flake.lock` that are fetched from this machine: those of the flake, and those that an update adds.
//!
//! nix allows inputs such as `path:/run/credentials` in all flakes, so the owner of any input could copy files of this machine into
//! the store.

use crate::ordered::CollectOrdered;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Input types that never refer to this machine.
const REMOTE_TYPES: [&str; 3] = ["github", "gitlab", "sourcehut"];
/// URL schemes that refer to another machine.
const REMOTE_SCHEMES: [&str; 4] = ["https", "http", "ssh", "git"];

/// The inputs from this machine that only `new` has. Maps the path of each input, as in `a/b`, to its location.
pub(super) fn foreign_inputs(old: &str, new: &str) -> serde_json::Result<BTreeMap<String, String>> {
    let old = if old.is_empty() { BTreeMap::new() } else { inputs(&serde_json::from_str(old)?) };
    let mut new = inputs(&serde_json::from_str(new)?);
    new.retain(|input, location| old.get(input) != Some(location));
    Ok(new)
}

/// The local git repositories that are direct inputs of the flake according to its committed lock. Inputs of inputs are left out,
/// as well as directories that contain more than a repository.
pub(super) fn local_repositories(lock: &str) -> Vec<PathBuf> {
    let Ok(lock) = serde_json::from_str::<Value>(lock) else { return Vec::new() };
    let root = &lock["nodes"][lock["root"].as_str().unwrap_or("root")];
    // Only strings: a list of names refers to an input of another input.
    let names = root["inputs"].as_object().into_iter().flatten().filter_map(|(_, name)| name.as_str());
    let sources = names.flat_map(|name| ["original", "locked"].map(|part| &lock["nodes"][name][part]));
    let urls = sources.filter(|source| source["type"] == "git").filter_map(|source| source["url"].as_str());
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok()).unwrap_or_default();
    let paths = urls.filter_map(file_path).filter(|path| is_repository(path) && !home.starts_with(path));
    paths.collect_set().into_iter().collect()
}

/// The path of a `file` URL, with symbolic links resolved.
fn file_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("git+").unwrap_or(url).strip_prefix("file://")?;
    let path = path.split(['?', '#']).next()?;
    let path = PathBuf::from(OsString::from_vec(percent_decode_str(path).collect()));
    path.canonicalize().ok().filter(|_| path.is_absolute())
}

fn is_repository(path: &Path) -> bool {
    path.join(".git").is_dir() || path.join("HEAD").is_file() && path.join("objects").is_dir()
}

/// The inputs from this machine in a lock.
fn inputs(lock: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let root = lock["root"].as_str().unwrap_or("root");
    let mut pending = vec![(String::new(), root)];
    let mut seen = BTreeSet::from([root]);
    while let Some((path, name)) = pending.pop() {
        let node = &lock["nodes"][name];
        for part in ["original", "locked"] {
            if let Some(location) = node[part].as_object().and_then(local_location) {
                found.insert(path.clone(), location);
            }
        }
        // Only strings: a list of names refers to another input, which is checked separately.
        let inputs = node["inputs"].as_object().into_iter().flatten();
        for (input, target) in inputs.filter_map(|(input, target)| Some((input, target.as_str()?))) {
            if seen.insert(target) {
                let separator = if path.is_empty() { "" } else { "/" };
                pending.push((format!("{path}{separator}{input}"), target));
            }
        }
    }
    found
}

/// The location of an input from this machine; `None` for one from another machine or from within the flake.
fn local_location(source: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| source.get(name).and_then(Value::as_str);
    let kind = text("type").unwrap_or_default();
    match (text("url"), text("path")) {
        _ if REMOTE_TYPES.contains(&kind) => None,
        (None, None) if kind == "indirect" => None,
        // nix keeps relative paths within the flake that has the input.
        (None, Some(path)) if kind == "path" && !path.starts_with('/') => None,
        (None, Some(path)) => Some(format!("{kind}:{path}")),
        (Some(url), _) => {
            let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
            let is_remote = scheme.is_some_and(|scheme| {
                REMOTE_SCHEMES.contains(&scheme.rsplit('+').next().unwrap_or_default())
            });
            (!is_remote).then(|| format!("{kind} {url}"))
        }
        (None, None) => Some(format!("an unknown location of type {kind:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::foreign_inputs;
    use serde_json::{Value, json};

    /// A lock with the input `up`, whose input `loot` has the source `loot`.
    fn lock(loot: &Value) -> String {
        let github = json!({"type": "github", "owner": "o", "repo": "r"});
        json!({"version": 7, "root": "root", "nodes": {
            "root": {"inputs": {"up": "up"}},
            "up": {"original": github, "locked": github, "inputs": {"loot": "loot_2", "same": ["up", "loot"]}},
            "loot_2": {"original": loot, "locked": loot},
        }})
        .to_string()
    }

    fn found(loot: &Value) -> Option<String> {
        let mut found = foreign_inputs("", &lock(loot)).unwrap();
        found.remove("up/loot")
    }

    #[test]
    fn inputs_of_this_machine_are_found() {
        for (loot, location) in [
            (json!({"type": "path", "path": "/run/credentials/x"}), "path:/run/credentials/x"),
            (json!({"type": "git", "url": "file:///srv/secrets"}), "git file:///srv/secrets"),
            (json!({"type": "git", "url": "git+file:///srv"}), "git git+file:///srv"),
            (json!({"type": "git", "url": "FILE:///srv"}), "git FILE:///srv"),
            (json!({"type": "git", "url": "/srv/secrets"}), "git /srv/secrets"),
            (json!({"type": "git", "url": "ext::sh -c x"}), "git ext::sh -c x"),
            (json!({"type": "hg", "url": "file:///srv"}), "hg file:///srv"),
            (json!({"type": "tarball", "url": "file:///a.tar.gz"}), "tarball file:///a.tar.gz"),
            (json!({"type": "file", "url": "file:/etc/shadow"}), "file file:/etc/shadow"),
            (json!({"type": "new"}), "an unknown location of type \"new\""),
        ] {
            assert_eq!(found(&loot).as_deref(), Some(location));
        }
    }

    #[test]
    fn inputs_of_other_machines_and_of_the_flake_are_ignored() {
        for loot in [
            json!({"type": "github", "owner": "o", "repo": "r"}),
            json!({"type": "git", "url": "https://h/r"}),
            json!({"type": "git", "url": "ssh://git@h/r"}),
            json!({"type": "tarball", "url": "https://h/a.tar.gz"}),
            json!({"type": "indirect", "id": "nixpkgs"}),
            json!({"type": "path", "path": "./modules"}),
        ] {
            assert_eq!(found(&loot), None, "{loot}");
        }
    }

    #[test]
    fn existing_input_is_allowed_only_at_its_location() {
        let (one, other) = (json!({"type": "path", "path": "/a"}), json!({"type": "path", "path": "/b"}));
        assert!(foreign_inputs(&lock(&one), &lock(&one)).unwrap().is_empty());
        assert_eq!(foreign_inputs(&lock(&other), &lock(&one)).unwrap().len(), 1);
    }
}
