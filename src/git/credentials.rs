//! User names and passwords for the servers of flakes. They are passed to git and nix in environment variables, which only the
//! same user and root can read, and never in arguments, which all users can read.

use super::{Forge, UrlParts, percent_decoded, percent_encoded};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fmt};
use tokio::process::Command;

pub use super::netrc::CredentialsError;

/// Minimum length for treating a user name as a secret. Shorter ones are plain names and could be part of any word.
const MIN_SECRET_USER: usize = 8;

/// User name and password for one server.
#[derive(Clone, PartialEq, Eq)]
struct ServerCredentials {
    /// `HOST`, or `HOST:PORT`.
    machine: String,
    /// The origins that git sends the credentials to, each `SCHEME://HOST[:PORT]`.
    origins: Vec<String>,
    user: String,
    /// If absent, git asks its own credential helpers for this user's password.
    password: Option<String>,
}

/// Credentials for the servers of flakes. `Debug` shows only the servers.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    entries: Vec<ServerCredentials>,
    /// The netrc file, for nix's own downloads.
    netrc: Option<PathBuf>,
    /// The forge hosts that get their token in nix's `access-tokens`.
    forges: Vec<(String, Forge)>,
    /// URLs in git's configuration, and the URLs that replace them.
    rewritten: Vec<(String, String)>,
}

impl Credentials {
    /// Reads a netrc file. A file that all users can read is refused.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let (file, machines) = super::netrc::read(path)?;
        let entries = machines.into_iter().map(|machine| {
            let mut origins = vec![format!("https://{}", machine.name)];
            // Plain HTTP is safe because loopback traffic stays on this machine.
            if is_loopback(&machine.name) {
                origins.push(format!("http://{}", machine.name));
            }
            ServerCredentials {
                machine: machine.name,
                origins,
                user: machine.user,
                password: Some(machine.password),
            }
        });
        Ok(Self {
            entries: entries.collect(),
            netrc: Some(file),
            // nix downloads inputs from there even if no flake names it.
            forges: vec![(Forge::GitHub.host().to_owned(), Forge::GitHub)],
            ..Self::default()
        })
    }

    /// Credentials for one server. `origin` is `SCHEME://HOST[:PORT]`.
    pub fn for_origin(origin: &str, user: &str, password: &str) -> Self {
        Self::single(origin, user.to_owned(), Some(password.to_owned()))
    }

    /// Splits a URL into the URL without credentials, and the credentials. `None` if it has none.
    ///
    /// An ssh URL keeps its user. Its password is dropped because ssh never uses it.
    pub fn split_url(url: &str) -> Option<(String, Self)> {
        let parts = UrlParts::of(url)?;
        let userinfo = parts.userinfo?;
        match parts.scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {
                let origin = parts.origin();
                Some((format!("{origin}{}", parts.path), Self::from_userinfo(&origin, userinfo)))
            }
            "ssh" => {
                let (user, _) = userinfo.split_once(':')?;
                Some((format!("{}://{user}@{}{}", parts.scheme, parts.host, parts.path), Self::default()))
            }
            _ => None,
        }
    }

    /// Makes git use `url` instead of the URL `written` in its configuration.
    #[must_use]
    pub fn with_url_rewrite(mut self, written: &str, url: &str) -> Self {
        self.rewritten.push((written.to_owned(), url.to_owned()));
        self
    }

    /// Parses the percent-encoded part before the `@` of a URL.
    fn from_userinfo(origin: &str, userinfo: &str) -> Self {
        let (user, password) = match userinfo.split_once(':') {
            Some((user, password)) => (user, Some(percent_decoded(password))),
            None => (userinfo, None),
        };
        Self::single(origin, percent_decoded(user), password)
    }

    fn single(origin: &str, user: String, password: Option<String>) -> Self {
        let machine = origin.split_once("://").map_or(origin, |(_, machine)| machine).to_owned();
        let entry = ServerCredentials { machine, origins: vec![origin.to_owned()], user, password };
        Self { entries: vec![entry], ..Self::default() }
    }

    /// Extends matching credentials to the origin of the flake or remote: on any port, and also without TLS.
    #[must_use]
    pub fn with_origin(mut self, origin: &str) -> Self {
        let host = origin.split_once("://").map_or(origin, |(_, host)| host).to_ascii_lowercase();
        let exact = self.entries.iter().position(|entry| entry.machine == host);
        let found = exact.or_else(|| {
            self.entries
                .iter()
                .position(|entry| host.rsplit_once(':').is_some_and(|(name, _)| entry.machine == name))
        });
        if let Some(entry) = found.and_then(|at| self.entries.get_mut(at))
            && !entry.origins.iter().any(|known| known == origin)
        {
            entry.origins.push(origin.to_owned());
        }
        self
    }

    /// Adds the host of another forge.
    #[must_use]
    pub fn with_forge(mut self, host: &str, forge: Forge) -> Self {
        if !self.forges.iter().any(|(known, _)| known == host) {
            self.forges.push((host.to_owned(), forge));
        }
        self
    }

    /// Adds `others` for servers that have no credentials yet.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for mut entry in others.entries {
            let has = |origin: &String| {
                self.entries.iter().any(|ours| ours.password.is_some() && ours.origins.contains(origin))
            };
            entry.origins.retain(|origin| !has(origin));
            self.entries.push(entry);
        }
        self.netrc = self.netrc.or(others.netrc);
        self.forges.extend(others.forges);
        self.rewritten.extend(others.rewritten);
        self
    }

    /// Whether there are no credentials.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a user or password contains control characters, which git's credential protocol would misinterpret.
    pub fn has_control_characters(&self) -> bool {
        let has_control = |text: &str| text.chars().any(char::is_control);
        self.entries
            .iter()
            .any(|entry| has_control(&entry.user) || entry.password.as_deref().is_some_and(has_control))
    }

    /// The secrets to redact: all passwords, and long user names.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let passwords = self.entries.iter().filter_map(|entry| entry.password.as_deref());
        let users = self.entries.iter().map(|entry| entry.user.as_str());
        passwords
            .chain(users.filter(|user| user.len() >= MIN_SECRET_USER))
            .filter(|secret| !secret.is_empty())
    }

    /// The secrets in the forms that may appear in messages, each with its replacement.
    pub fn redactions(&self) -> impl Iterator<Item = (String, String)> {
        let forms = self.secrets().flat_map(|secret| [secret.to_owned(), percent_encoded(secret)]);
        forms.map(|secret| (secret, "***".to_owned()))
    }

    /// Environment variables that pass the credentials to git and nix. `known` looks up a variable's current value, which is
    /// extended.
    pub fn environment(&self, known: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        let before = known("GIT_CONFIG_COUNT").and_then(|count| count.trim().parse().ok()).unwrap_or(0);
        let mut count: usize = before;
        let mut set = |key: String, value: String, variables: &mut Vec<(String, String)>| {
            variables.push((format!("GIT_CONFIG_KEY_{count}"), key));
            variables.push((format!("GIT_CONFIG_VALUE_{count}"), value));
            count += 1;
        };
        for (n, entry) in self.entries.iter().enumerate() {
            // Numbered after existing entries because the environment may already hold other credentials.
            let n = before + n;
            if let Some(password) = entry.password.as_ref().filter(|_| !entry.origins.is_empty()) {
                variables.push((format!("HOMELAB_DEPLOY_USER_{n}"), entry.user.clone()));
                variables.push((format!("HOMELAB_DEPLOY_PASSWORD_{n}"), password.clone()));
            }
            for origin in &entry.origins {
                match entry.password {
                    Some(_) => {
                        // The empty helper resets the list, so that no other helper is asked or stores the password.
                        set(format!("credential.{origin}.helper"), String::new(), &mut variables);
                        set(format!("credential.{origin}.helper"), helper(n), &mut variables);
                    }
                    None => set(format!("credential.{origin}.username"), entry.user.clone(), &mut variables),
                }
            }
        }
        for (written, url) in &self.rewritten {
            set(format!("url.{url}.insteadOf"), written.clone(), &mut variables);
        }
        if count > before {
            variables.push(("GIT_CONFIG_COUNT".to_owned(), count.to_string()));
        }
        let settings = self.nix_settings();
        if !settings.is_empty() {
            let inherited = known("NIX_CONFIG").unwrap_or_default();
            variables.push(("NIX_CONFIG".to_owned(), format!("{inherited}\n{}\n", settings.join("\n"))));
        }
        variables
    }

    /// Passes the credentials to a program in its environment.
    pub fn apply_to(&self, command: &mut Command) {
        let text = |value: &OsStr| value.to_str().map(str::to_owned);
        let variables = self.environment(|name| {
            let set = command.as_std().get_envs().find(|(known, _)| *known == OsStr::new(name));
            match set {
                Some((_, value)) => value.and_then(text),
                None => env::var(name).ok(),
            }
        });
        command.envs(variables);
    }

    fn nix_settings(&self) -> Vec<String> {
        let mut settings: Vec<String> =
            self.netrc.iter().map(|file| format!("netrc-file = {}", file.display())).collect();
        let of_forge = |(host, forge): &(String, Forge)| {
            let entry = self.entries.iter().find(|entry| entry.machine == *host)?;
            // Other characters cannot be part of a token, and a line break would start another setting.
            let token = entry.password.as_ref().filter(|token| token.bytes().all(is_token_byte))?;
            Some(format!("{host}={}{token}", forge.token_prefix()))
        };
        let tokens: Vec<String> = self.forges.iter().filter_map(of_forge).collect();
        if !tokens.is_empty() {
            settings.push(format!("extra-access-tokens = {}", tokens.join(" ")));
        }
        settings
    }
}

/// The credential helper that answers git. git passes it to a shell as an argument, so it only names the variables.
fn helper(n: usize) -> String {
    format!(
        "!f() {{ test \"$1\" = get || exit 0; \
         printf 'username=%s\\npassword=%s\\n' \"$HOMELAB_DEPLOY_USER_{n}\" \"$HOMELAB_DEPLOY_PASSWORD_{n}\"; }}; f"
    )
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.:+/=".contains(&byte)
}

/// Whether `HOST` or `HOST:PORT` is a loopback address.
pub fn is_loopback(machine: &str) -> bool {
    let host = without_port(machine).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host without its port. The colons of a bare IPv6 address are not a port separator.
pub fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.iter().map(|entry| &entry.machine)).finish()
    }
}
