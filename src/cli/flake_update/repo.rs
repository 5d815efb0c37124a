//! Parses the `--repo` argument of `flake-update`.

use crate::flake_update::{RepositorySource, Subflake};
use crate::git::{Forge, percent_decoded, without_userinfo};
use crate::nix::FlakeUrl;
use std::path::{Path, PathBuf};

/// Parses the argument: an existing directory is a checkout, anything else with a scheme or a host is a URL. Errors
/// continue a sentence that starts with `--repo`.
pub(super) fn read(text: &str) -> Result<(RepositorySource, Subflake), String> {
    let path = text.strip_prefix("path:").unwrap_or(text);
    if Path::new(path).is_dir() {
        return Ok((checkout(path)?, Subflake::default()));
    }
    if text.starts_with('-') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("is neither a directory nor a URL".to_owned());
    }
    let shown = without_userinfo(text);
    if text.contains('#') {
        return Err(format!("{shown:?} must not have a `#` part, because every host is built: remove it"));
    }
    let (base, query) = path.split_once('?').unwrap_or((path, ""));
    let (base, subflake) = subflake(base, query)?;
    if Path::new(&base).is_dir() {
        return Ok((checkout(&base)?, subflake));
    }
    // git does not know these URLs of nix.
    if Forge::of_flake_url(&base).is_some() {
        let flake: FlakeUrl = base.parse().map_err(|error| format!("cannot be used: {error}"))?;
        return Ok((RepositorySource::Url(flake.remote().map_or(base, |remote| remote.url)), subflake));
    }
    if let Some(rest) = base.strip_prefix("git+").filter(|rest| rest.contains("://")) {
        // The error of the flake parser is more helpful than that of git.
        let read = base.split('?').next().unwrap_or_default().parse::<FlakeUrl>();
        read.map_err(|error| format!("cannot be used: {error}"))?;
        return Ok((RepositorySource::Url(rest.to_owned()), subflake));
    }
    let has_host = base.split_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.contains('/'));
    if has_host && !base.starts_with("ext:") && !base.contains("::") {
        return Ok((RepositorySource::Url(base), subflake));
    }
    Err(format!(
        "{shown:?} is not a directory: give the directory of a checkout, or a URL that git can clone"
    ))
}

fn checkout(path: &str) -> Result<RepositorySource, String> {
    let real: PathBuf =
        Path::new(path).canonicalize().map_err(|error| format!("{path:?} cannot be used: {error}"))?;
    Ok(RepositorySource::Checkout(real))
}

/// Removes the query parameters that are for nix; the rest remains part of the URL.
fn subflake(base: &str, query: &str) -> Result<(String, Subflake), String> {
    let (mut dir, mut submodules, mut rest) = (String::new(), false, Vec::new());
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("dir", value)) => dir = percent_decoded(value),
            Some(("submodules", value)) => submodules = value == "1",
            Some(("ref", branch)) => {
                return Err(format!("names the branch {branch}: remove it and pass it with --base"));
            }
            Some(("rev", _)) => {
                return Err("names a commit, but only a branch can be updated: remove it".to_owned());
            }
            _ => rest.push(parameter),
        }
    }
    let base = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    let subflake = Subflake::new(&dir, submodules);
    let subflake =
        subflake.ok_or_else(|| format!("has the directory {dir:?}, which is not in its repository"))?;
    Ok((base, subflake))
}
