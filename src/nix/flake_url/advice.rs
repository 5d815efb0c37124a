//! Suggests a valid form for a flake URL that cannot be deployed.

use crate::git::without_userinfo;

/// Suffixes of archives, which are downloaded as a file and have no commits.
const ARCHIVES: [&str; 5] = [".tar", ".gz", ".tgz", ".xz", ".zip"];

/// The valid form, without credentials. `None` if the intention is unclear.
pub(super) fn suggest(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("git+") {
        return port_like_path(rest).or_else(|| one_slash(rest));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let is_archive = ARCHIVES.iter().any(|end| text.ends_with(end));
        let is_known = matches!(scheme, "https" | "http" | "ssh" | "file");
        return (is_known && !is_archive && rest.contains('/'))
            .then(|| port_like_path(text).unwrap_or_else(|| format!("git+{}", without_userinfo(text))));
    }
    if is_relative(text.strip_prefix("path:").unwrap_or(text)) {
        return Some("the absolute path of its directory".to_owned());
    }
    scp_like(text)
}

/// Fixes `ssh://USER@HOST:PATH`, in which git takes the part after the colon as a port.
fn port_like_path(url: &str) -> Option<String> {
    let rest = url.strip_prefix("ssh://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    let host = &authority[host_at..];
    let colon = host.rfind(':').filter(|_| !host.ends_with(']'))?;
    let (host, first) = (&authority[..host_at + colon], &host[colon + 1..]);
    let is_port = first.bytes().all(|b| b.is_ascii_digit()) && !first.is_empty();
    let path = format!("{first}/{path}");
    let path = path.trim_matches('/');
    (!is_port && !path.is_empty()).then(|| without_userinfo(&format!("git+ssh://{host}/{path}")))
}

/// Fixes `file:/PATH`.
fn one_slash(rest: &str) -> Option<String> {
    let path = rest.strip_prefix("file:/").filter(|path| !path.starts_with('/') && !path.is_empty())?;
    Some(format!("git+file:///{path}"))
}

fn is_relative(path: &str) -> bool {
    matches!(path, "." | ".." | "~") || ["./", "../", "~/"].iter().any(|start| path.starts_with(start))
}

/// Converts `USER@HOST:PATH`, the form of git and scp.
fn scp_like(text: &str) -> Option<String> {
    let colon = match text.find("]:") {
        Some(bracket) => bracket + 1,
        None => text.find(':')?,
    };
    let (host, path) = (&text[..colon], &text[colon + 1..]);
    let (user, name) = host.split_once('@').unwrap_or(("", host));
    let is_host = !name.is_empty() && !host.contains('/') && (!user.is_empty() || name.contains('.'));
    let path = path.trim_start_matches('/');
    (is_host && !user.contains(':') && !name.contains('@') && !path.is_empty() && !path.contains('@'))
        .then(|| format!("git+ssh://{host}/{path}"))
}
