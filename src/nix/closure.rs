//! The closure of a system, and the differences between two closures.

use super::command::{Nix, NixCause, NixError, run_command};
use crate::ordered::CollectOrdered;
use crate::protocol::{Changes, PackageChange};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Maximum size of the output of `nix path-info`, in bytes. A large desktop needs a few megabytes.
const MAX_OUTPUT: u64 = 256 << 20;

/// The packages and the size of a store path with all its dependencies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closure {
    /// The versions of each package. Paths without a version, such as unit files, are left out.
    pub packages: BTreeMap<String, BTreeSet<String>>,
    /// The size of all paths, in bytes.
    pub bytes: u64,
}

impl Nix {
    /// Reads the closure of a store path, which must be in the local store.
    pub async fn closure(&self, store_path: &Path) -> Result<Closure, NixError> {
        let read = async {
            let mut command = self.command();
            command.args(["path-info", "--recursive", "--json"]).arg(store_path);
            closure(&run_command(command, MAX_OUTPUT).await?)
        };
        read.await.map_err(|cause| cause.context(format!("read the closure of {}", store_path.display())))
    }
}

impl Closure {
    /// The changes from this closure to `new`: packages sorted by name, each with all its versions before and after.
    pub fn changes(&self, new: &Self) -> Changes {
        let names: BTreeSet<&String> = self.packages.keys().chain(new.packages.keys()).collect_set();
        let versions = |of: &Self, name: &str| {
            let versions: Vec<&str> = of.packages.get(name)?.iter().map(String::as_str).collect();
            Some(versions.join(", "))
        };
        let mut packages = Vec::new();
        for name in names {
            let (from, to) = (versions(self, name), versions(new, name));
            if from != to {
                packages.push(PackageChange { name: name.clone(), from, to });
            }
        }
        let signed = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let bytes = signed(new.bytes) - signed(self.bytes);
        Changes { packages, bytes: Some(bytes), ..Changes::default() }
    }
}

/// Parses the JSON of `nix path-info`: a list of paths in nix 2.8, an object keyed by path since 2.19.
fn closure(json: &str) -> Result<Closure, NixCause> {
    let unexpected = |error: &dyn std::fmt::Display| {
        NixCause::UnexpectedOutput(format!("unexpected output of `nix path-info`: {error}"))
    };
    let mut closure = Closure::default();
    let mut add = |path: &str, info: &Value| {
        let bytes = info["narSize"].as_u64().ok_or_else(|| unexpected(&format!("{path} has no size")))?;
        closure.bytes = closure.bytes.saturating_add(bytes);
        if let Some((name, version)) = package(path) {
            closure.packages.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
        Ok::<(), NixCause>(())
    };
    match serde_json::from_str(json).map_err(|error| unexpected(&error))? {
        Value::Array(paths) => paths
            .iter()
            .try_for_each(|info| add(info["path"].as_str().ok_or_else(|| unexpected(&"no path"))?, info))?,
        Value::Object(paths) => paths.iter().try_for_each(|(path, info)| add(path, info))?,
        _ => return Err(unexpected(&"neither a list nor an object")),
    }
    Ok(closure)
}

/// Name and version of a store path's package, parsed as `nix store diff-closures` does. `None` if the name has no version.
///
/// The version starts at the first dash that is not followed by a letter. A suffix of lower-case letters such as `-bin` is an
/// output and not part of the version.
fn package(path: &str) -> Option<(&str, &str)> {
    let file = path.rsplit('/').next()?;
    // The hash has 32 characters.
    let name = file.get(32..)?.strip_prefix('-')?;
    let (name, version) = split(name)?;
    match version.rsplit_once('-') {
        Some((version, output)) if is_output(output) => Some((name, version)),
        _ => Some((name, version)),
    }
}

fn split(name: &str) -> Option<(&str, &str)> {
    let dash = name
        .match_indices('-')
        .map(|(at, _)| at)
        .find(|at| name[at + 1..].chars().next().is_some_and(|next| !next.is_ascii_alphabetic()))?;
    Some((&name[..dash], &name[dash + 1..]))
}

fn is_output(word: &str) -> bool {
    let letters = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    letters || word == "lib32" || word == "lib64"
}

#[cfg(test)]
mod tests {
    use super::{Closure, closure, package};
    use crate::protocol::PackageChange;

    const OLD: &str = r#"[{"path":"/nix/store/00000000000000000000000000000000-bash-5.2p37","narSize":7},
        {"path":"/nix/store/00000000000000000000000000000000-unit-a.service","narSize":1}]"#;
    const NEW: &str = r#"{"/nix/store/00000000000000000000000000000000-bash-5.2p37":{"narSize":7},
        "/nix/store/00000000000000000000000000000000-unit-a.service":{"narSize":1}}"#;

    #[test]
    fn list_of_old_nix_and_object_of_new_nix_parse_alike() {
        let (old, new) = (closure(OLD).unwrap(), closure(NEW).unwrap());
        assert_eq!(old, new);
        assert_eq!(old.bytes, 8);
        assert_eq!(old.packages.keys().collect::<Vec<_>>(), ["bash"]);
    }

    #[test]
    fn invalid_json_is_reported() {
        for (json, message) in [
            ("x", "unexpected output of `nix path-info`: expected value at line 1 column 1"),
            ("1", "unexpected output of `nix path-info`: neither a list nor an object"),
            ("[{}]", "unexpected output of `nix path-info`: no path"),
            (r#"{"/nix/store/x":null}"#, "unexpected output of `nix path-info`: /nix/store/x has no size"),
        ] {
            assert_eq!(closure(json).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn every_version_of_a_package_is_listed() {
        let of = |packages: &[(&str, &[&str])], bytes| {
            let versions = |versions: &[&str]| versions.iter().map(|text| (*text).to_owned()).collect();
            let packages = packages.iter().map(|(name, all)| ((*name).to_owned(), versions(all))).collect();
            Closure { packages, bytes }
        };
        let old = of(&[("gone", &["1"]), ("lib", &["1", "2"]), ("same", &["3"])], 10);
        let new = of(&[("added", &["4"]), ("lib", &["2", "3"]), ("same", &["3"])], 4);
        let changes = old.changes(&new);
        let change = |name: &str, from: Option<&str>, to: Option<&str>| PackageChange {
            name: name.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let expected = [
            change("added", None, Some("4")),
            change("gone", Some("1"), None),
            change("lib", Some("1, 2"), Some("2, 3")),
        ];
        assert_eq!(changes.packages, expected);
        assert_eq!(changes.bytes, Some(-6));
        assert!(old.changes(&old).packages.is_empty());
    }

    #[test]
    fn the_version_begins_at_the_first_dash_that_no_letter_follows() {
        for (name, expected) in [
            ("bash-5.2p37", Some(("bash", "5.2p37"))),
            ("openssl-3.0.13-bin", Some(("openssl", "3.0.13"))),
            ("glibc-2.40-66-lib32", Some(("glibc", "2.40-66"))),
            ("linux-6.12.9-modules-shrunk", Some(("linux", "6.12.9-modules"))),
            ("gcc-13.3.0-lib", Some(("gcc", "13.3.0"))),
            ("python3.12-requests-2.32.3", Some(("python3.12-requests", "2.32.3"))),
            ("nixos-system-web-26.05.20260101.abcdef0", Some(("nixos-system-web", "26.05.20260101.abcdef0"))),
            ("perl5.40.0-URI-5.21", Some(("perl5.40.0-URI", "5.21"))),
            ("neovim-unwrapped-0.10.2", Some(("neovim-unwrapped", "0.10.2"))),
            ("foo-unstable-2024-01-02", Some(("foo-unstable", "2024-01-02"))),
            ("foo-0-unstable-2024-01-02", Some(("foo", "0-unstable-2024-01-02"))),
            ("x-_1", Some(("x", "_1"))),
            ("unit-nginx.service", None),
            ("etc-fstab", None),
            ("system-path", None),
            ("trailing-", None),
        ] {
            let path = format!("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-{name}");
            assert_eq!(package(&path), expected, "{name}");
        }
        for invalid in ["", "/nix/store/short-1.0", "/nix/store/é-0123456789abcdfghijklmnpqrsvwxyz-x-1"] {
            assert_eq!(package(invalid), None, "{invalid}");
        }
    }
}
