//! The hosts of a flake at one commit: the names below `nixosConfigurations`.

use super::call::{Nix, NixCause, NixError, call};
use super::process::quiet_ssh;
use super::{FlakeUrl, Locked};
use crate::protocol::{Name, printable};

/// The most that is read of the list, in bytes.
const MAX_OUTPUT: u64 = 4 << 20;
/// The most of a name that is told, in characters.
const MAX_SHOWN: usize = 80;

/// The hosts of a flake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// Those that can be built, by name.
    pub names: Vec<Name>,
    /// Names that are no tokens, fit to be shown: no request can mean them.
    pub skipped: Vec<String>,
}

impl Nix {
    /// The hosts of a flake, none of which is evaluated. A flake without `nixosConfigurations` has none.
    pub async fn hosts(&self, flake: &FlakeUrl, locked: &Locked) -> Result<Hosts, NixError> {
        let mut command = self.nix();
        // Whatever goes wrong with git here goes wrong in nix too, which tells it better.
        let _ = quiet_ssh(&mut command).await;
        command
            .args(["eval", "--json", "--no-update-lock-file", "--apply", "builtins.attrNames"])
            .arg(format!("{}#nixosConfigurations", locked.url));
        let doing = || format!("list the hosts of {}", flake.without_credentials());
        match call(command, MAX_OUTPUT).await {
            Ok(list) => {
                let names: Vec<String> = serde_json::from_str(&list).map_err(|error| {
                    NixCause::Odd(format!("nix gave no list of names: {error}")).when(doing())
                })?;
                Ok(Hosts::of(names))
            }
            Err(NixCause::Refused(said)) if said.contains("does not provide attribute") => {
                Ok(Hosts::of(Vec::new()))
            }
            Err(NixCause::Refused(said)) => Err(NixCause::Refused(flake.scrub(&said)).when(doing())),
            Err(cause) => Err(cause.when(doing())),
        }
    }
}

impl Hosts {
    fn of(all: Vec<String>) -> Self {
        let (mut names, mut skipped) = (Vec::new(), Vec::new());
        for name in all {
            match Name::new(name.as_str()) {
                Ok(name) => names.push(name),
                Err(_) => skipped.push(printable(&name).chars().take(MAX_SHOWN).collect()),
            }
        }
        Self { names, skipped }
    }
}
