//! User names and passwords for the servers of flakes. git and nix get them in their environment, which only the same user
//! and root can read, and never in their arguments, which everybody on this machine can.

mod netrc;

use super::forge::Forge;
use super::secrets::percent_decoded;
use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use tokio::process::Command;

pub use netrc::CredentialsError;

/// The forge whose downloads nix asks for with a token, though no flake names its host.
const GITHUB: &str = "github.com";
/// A shorter user is a name, and as text it could be part of any word.
const LONG_USER: usize = 8;

/// Who we are for one server.
#[derive(Clone, PartialEq, Eq)]
struct Entry {
    /// `HOST`, or `HOST:PORT`.
    machine: String,
    /// `SCHEME://HOST[:PORT]` each: where git offers it.
    origins: Vec<String>,
    user: String,
    /// Without one, git asks the helpers that it has for the password of this user.
    password: Option<String>,
}

/// Credentials for the servers of flakes. `Debug` shows the servers only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    entries: Vec<Entry>,
    /// The file they come from, for what nix downloads by itself.
    netrc: Option<PathBuf>,
    /// Hosts of forges that nix asks with a token.
    forges: Vec<(String, Forge)>,
    /// URLs that git finds in its files, and what it takes in their place.
    rewritten: Vec<(String, String)>,
}

impl Credentials {
    /// Reads a file in the format of netrc. One that everybody can read is refused.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let (file, machines) = netrc::read(path)?;
        let entries = machines.into_iter().map(|machine| {
            let mut origins = vec![format!("https://{}", machine.name)];
            // No one can read it on the way.
            if is_loopback(&machine.name) {
                origins.push(format!("http://{}", machine.name));
            }
            Entry { machine: machine.name, origins, user: machine.user, password: Some(machine.password) }
        });
        Ok(Self {
            entries: entries.collect(),
            netrc: Some(file),
            forges: vec![(GITHUB.to_owned(), Forge::GitHub)],
            ..Self::default()
        })
    }

    /// A password for one server, `SCHEME://HOST[:PORT]`.
    pub fn of(origin: &str, user: &str, password: &str) -> Self {
        Self::of_entry(origin, user.to_owned(), Some(password.to_owned()))
    }

    /// A URL without its credentials, and these; nothing where it has none. ssh takes a user from the URL and never a password.
    pub fn taken_from(url: &str) -> Option<(String, Self)> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (userinfo, host) = authority.rsplit_once('@')?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => {
                let origin = format!("{scheme}://{host}");
                Some((format!("{origin}{path}"), Self::of_userinfo(&origin, userinfo)))
            }
            "ssh" => {
                let (user, _) = userinfo.split_once(':')?;
                Some((format!("{scheme}://{user}@{host}{path}"), Self::default()))
            }
            _ => None,
        }
    }

    /// With another URL in the place of one that is written in the files of git.
    #[must_use]
    pub fn in_place_of(mut self, written: &str, url: &str) -> Self {
        self.rewritten.push((written.to_owned(), url.to_owned()));
        self
    }

    /// What stands before the `@` of a URL of this server, percent-encoded.
    fn of_userinfo(origin: &str, userinfo: &str) -> Self {
        let (user, password) = match userinfo.split_once(':') {
            Some((user, password)) => (user, Some(percent_decoded(password))),
            None => (userinfo, None),
        };
        Self::of_entry(origin, percent_decoded(user), password)
    }

    fn of_entry(origin: &str, user: String, password: Option<String>) -> Self {
        let machine = origin.split_once("://").map_or(origin, |(_, machine)| machine).to_owned();
        let entry = Entry { machine, origins: vec![origin.to_owned()], user, password };
        Self { entries: vec![entry], ..Self::default() }
    }

    /// With the credentials for a server that is known to be meant: on any port, and without TLS too.
    #[must_use]
    pub fn reaching(mut self, origin: &str) -> Self {
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

    /// With the host of another forge.
    pub(super) fn on_forge(mut self, host: &str, forge: Forge) -> Self {
        if !self.forges.iter().any(|(known, _)| known == host) {
            self.forges.push((host.to_owned(), forge));
        }
        self
    }

    /// These, and where they have none for a server, the others.
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether git would take a part of a user or a password for something else.
    pub(super) fn has_control_characters(&self) -> bool {
        let odd = |text: &str| text.chars().any(char::is_control);
        self.entries.iter().any(|entry| odd(&entry.user) || entry.password.as_deref().is_some_and(odd))
    }

    /// Each secret as it could appear in a text.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        let passwords = self.entries.iter().filter_map(|entry| entry.password.as_deref());
        let users = self.entries.iter().map(|entry| entry.user.as_str());
        passwords.chain(users.filter(|user| user.len() >= LONG_USER)).filter(|secret| !secret.is_empty())
    }

    /// What a program gets in its environment, so that git and nix below it have the credentials. `known` looks up what it
    /// has already.
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
            // Two sets of credentials may meet in one environment.
            let n = before + n;
            if let Some(password) = entry.password.as_ref().filter(|_| !entry.origins.is_empty()) {
                variables.push((format!("HOMELAB_DEPLOY_USER_{n}"), entry.user.clone()));
                variables.push((format!("HOMELAB_DEPLOY_PASSWORD_{n}"), password.clone()));
            }
            for origin in &entry.origins {
                match entry.password {
                    Some(_) => {
                        // No other helper hears of it.
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
            let set_before = known("NIX_CONFIG").unwrap_or_default();
            variables.push(("NIX_CONFIG".to_owned(), format!("{set_before}\n{}\n", settings.join("\n"))));
        }
        variables
    }

    /// Hands them to a program.
    pub(super) fn give(&self, command: &mut Command) {
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
            // Anything else would be taken for another setting, and is no token of a forge.
            let token = entry.password.as_ref().filter(|token| token.bytes().all(is_of_token))?;
            Some(format!("{host}={}{token}", forge.kind_of_token()))
        };
        let tokens: Vec<String> = self.forges.iter().filter_map(of_forge).collect();
        if !tokens.is_empty() {
            settings.push(format!("extra-access-tokens = {}", tokens.join(" ")));
        }
        settings
    }
}

/// What answers git when it asks for a password. Its text is an argument of a shell, so it holds no secret.
fn helper(n: usize) -> String {
    format!(
        "!f() {{ test \"$1\" = get || exit 0; \
         printf 'username=%s\\npassword=%s\\n' \"$HOMELAB_DEPLOY_USER_{n}\" \"$HOMELAB_DEPLOY_PASSWORD_{n}\"; }}; f"
    )
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.:+/=".contains(&byte)
}

/// Whether `HOST` or `HOST:PORT` is this machine, by its address.
pub(super) fn is_loopback(machine: &str) -> bool {
    let host = machine.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let host = host.map_or(machine, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.iter().map(|entry| &entry.machine)).finish()
    }
}
