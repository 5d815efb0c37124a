//! Finds inputs in a `flake.lock` that are taken from this machine: the flake's own, and those that an update adds.
//!
//! nix lets each flake have inputs such as `path:/run/credentials`, so the owner of any input could have files of this machine
//! copied into the store.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Types that are never of this machine, wherever they are fetched from.
const REMOTE_TYPES: [&str; 3] = ["github", "gitlab", "sourcehut"];
/// Schemes of URLs that lead to another machine.
const REMOTE_SCHEMES: [&str; 4] = ["https", "http", "ssh", "git"];

/// The inputs of this machine that only `new` has, each with its names from the flake on and its place.
pub(super) fn foreign_inputs(old: &str, new: &str) -> serde_json::Result<BTreeMap<String, String>> {
    let old = if old.is_empty() { BTreeMap::new() } else { inputs(&serde_json::from_str(old)?) };
    let mut new = inputs(&serde_json::from_str(new)?);
    new.retain(|input, place| old.get(input) != Some(place));
    Ok(new)
}

/// The git repositories of this machine that the flake itself has as inputs, by its committed lock. Those of inputs of
/// inputs are not among them, nor is what could hold more than a repository.
pub(super) fn local_repositories(lock: &str) -> Vec<PathBuf> {
    let Ok(lock) = serde_json::from_str::<Value>(lock) else { return Vec::new() };
    let root = &lock["nodes"][lock["root"].as_str().unwrap_or("root")];
    // A list of names follows an input of an input.
    let names = root["inputs"].as_object().into_iter().flatten().filter_map(|(_, name)| name.as_str());
    let sources = names.flat_map(|name| ["original", "locked"].map(|part| &lock["nodes"][name][part]));
    let urls = sources.filter(|source| source["type"] == "git").filter_map(|source| source["url"].as_str());
    let home = std::env::home_dir().and_then(|home| home.canonicalize().ok()).unwrap_or_default();
    let paths = urls.filter_map(file_path).filter(|path| is_repository(path) && !home.starts_with(path));
    paths.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The path of a `file` URL, free of links.
fn file_path(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("git+").unwrap_or(url).strip_prefix("file://")?;
    let path = path.split(['?', '#']).next()?;
    let path = PathBuf::from(OsString::from_vec(percent_decode_str(path).collect()));
    path.canonicalize().ok().filter(|_| path.is_absolute())
}

fn is_repository(path: &Path) -> bool {
    path.join(".git").is_dir() || path.join("HEAD").is_file() && path.join("objects").is_dir()
}

/// The inputs of this machine in a lock.
fn inputs(lock: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let root = lock["root"].as_str().unwrap_or("root");
    let mut left = vec![(String::new(), root)];
    let mut seen = BTreeSet::from([root]);
    while let Some((path, name)) = left.pop() {
        let node = &lock["nodes"][name];
        for part in ["original", "locked"] {
            if let Some(place) = node[part].as_object().and_then(local_place) {
                found.insert(path.clone(), place);
            }
        }
        // A list of names follows another input, which is looked at itself.
        let inputs = node["inputs"].as_object().into_iter().flatten();
        for (input, target) in inputs.filter_map(|(input, target)| Some((input, target.as_str()?))) {
            if seen.insert(target) {
                let separator = if path.is_empty() { "" } else { "/" };
                left.push((format!("{path}{separator}{input}"), target));
            }
        }
    }
    found
}

/// Where an input of this machine is; nothing for one of another machine, or of the flake that names it.
fn local_place(source: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| source.get(name).and_then(Value::as_str);
    let kind = text("type").unwrap_or_default();
    match (text("url"), text("path")) {
        _ if REMOTE_TYPES.contains(&kind) => None,
        (None, None) if kind == "indirect" => None,
        // nix keeps it within the flake that names it.
        (None, Some(path)) if kind == "path" && !path.starts_with('/') => None,
        (None, Some(path)) => Some(format!("{kind}:{path}")),
        (Some(url), _) => {
            let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
            let is_remote = scheme.is_some_and(|scheme| {
                REMOTE_SCHEMES.contains(&scheme.rsplit('+').next().unwrap_or_default())
            });
            (!is_remote).then(|| format!("{kind} {url}"))
        }
        (None, None) => Some(format!("an unknown place of type {kind:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::foreign_inputs;
    use serde_json::{Value, json};

    /// A lock with the input `up`, which has the input `loot` from there.
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
        for (loot, place) in [
            (json!({"type": "path", "path": "/run/credentials/x"}), "path:/run/credentials/x"),
            (json!({"type": "git", "url": "file:///srv/secrets"}), "git file:///srv/secrets"),
            (json!({"type": "git", "url": "git+file:///srv"}), "git git+file:///srv"),
            (json!({"type": "git", "url": "FILE:///srv"}), "git FILE:///srv"),
            (json!({"type": "git", "url": "/srv/secrets"}), "git /srv/secrets"),
            (json!({"type": "git", "url": "ext::sh -c x"}), "git ext::sh -c x"),
            (json!({"type": "hg", "url": "file:///srv"}), "hg file:///srv"),
            (json!({"type": "tarball", "url": "file:///a.tar.gz"}), "tarball file:///a.tar.gz"),
            (json!({"type": "file", "url": "file:/etc/shadow"}), "file file:/etc/shadow"),
            (json!({"type": "new"}), "an unknown place of type \"new\""),
        ] {
            assert_eq!(found(&loot).as_deref(), Some(place));
        }
    }

    #[test]
    fn inputs_of_other_machines_and_of_the_flake_itself_are_not() {
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
    fn an_input_that_was_there_before_is_kept_at_its_place_only() {
        let (one, other) = (json!({"type": "path", "path": "/a"}), json!({"type": "path", "path": "/b"}));
        assert!(foreign_inputs(&lock(&one), &lock(&one)).unwrap().is_empty());
        assert_eq!(foreign_inputs(&lock(&other), &lock(&one)).unwrap().len(), 1);
    }
}
