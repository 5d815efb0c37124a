//! The flake that is named to `flake-update`.

use crate::flake_update::{Source, Subflake};
use crate::nix::{FlakeUrl, percent_decoded, without_userinfo};
use std::path::{Path, PathBuf};

/// What nix takes and git does not.
const FORGES: [&str; 3] = ["github:", "gitlab:", "sourcehut:"];

/// A directory that exists is a checkout; anything else with a scheme or a host is a URL. Gives the sentence after `--repo`.
pub(super) fn read(text: &str) -> Result<(Source, Subflake), String> {
    let path = text.strip_prefix("path:").unwrap_or(text);
    if Path::new(path).is_dir() {
        return Ok((folder(path)?, Subflake::default()));
    }
    if text.starts_with('-') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("is neither a folder nor a URL".to_owned());
    }
    let shown = without_userinfo(text);
    if text.contains('#') {
        return Err(format!("{shown:?} must not have a `#` part: every host is built; leave it out"));
    }
    let (base, query) = path.split_once('?').unwrap_or((path, ""));
    let (base, subflake) = subflake(base, query)?;
    if Path::new(&base).is_dir() {
        return Ok((folder(&base)?, subflake));
    }
    if FORGES.iter().any(|forge| base.starts_with(forge)) {
        let flake: FlakeUrl = base.parse().map_err(|error| format!("cannot be used: {error}"))?;
        return Ok((Source::Url(flake.remote().unwrap_or(base)), subflake));
    }
    if let Some(rest) = base.strip_prefix("git+").filter(|rest| rest.contains("://")) {
        // What nix takes, it says better than git why not.
        let read = base.split('?').next().unwrap_or_default().parse::<FlakeUrl>();
        read.map_err(|error| format!("cannot be used: {error}"))?;
        return Ok((Source::Url(rest.to_owned()), subflake));
    }
    let has_host = base.split_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.contains('/'));
    if has_host && !base.starts_with("ext:") && !base.contains("::") {
        return Ok((Source::Url(base), subflake));
    }
    Err(format!("{shown:?} is no folder; give the folder of a checkout, or a URL that git can clone"))
}

fn folder(path: &str) -> Result<Source, String> {
    let real: PathBuf =
        Path::new(path).canonicalize().map_err(|error| format!("{path:?} cannot be used: {error}"))?;
    Ok(Source::Folder(real))
}

/// Takes out of the query what is for nix; the rest is a part of the URL.
fn subflake(base: &str, query: &str) -> Result<(String, Subflake), String> {
    let (mut dir, mut submodules, mut rest) = (String::new(), false, Vec::new());
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("dir", value)) => dir = percent_decoded(value),
            Some(("submodules", value)) => submodules = value == "1",
            Some(("ref", branch)) => {
                return Err(format!("names the branch {branch}: leave it out, and give it to --base"));
            }
            Some(("rev", _)) => return Err("names a commit: leave it out; a branch is updated".to_owned()),
            _ => rest.push(parameter),
        }
    }
    let base = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    let subflake = Subflake::new(&dir, submodules);
    let subflake =
        subflake.ok_or_else(|| format!("has the directory {dir:?}, which is not in its repository"))?;
    Ok((base, subflake))
}
