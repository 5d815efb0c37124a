//! Which commits a listener deploys.

use super::exit::Failed;
use crate::nix::{CommitPolicy, CommitSigners, FlakeUrl};
use crate::protocol::Revision;
use anyhow::{Context, anyhow};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(next_help_heading = "Commits")]
pub(super) struct CommitArgs {
    /// Deploy only this branch and the commits on it; repeatable, or with commas
    #[arg(long, env = "HOMELAB_DEPLOY_ALLOW_BRANCH", value_name = "NAME", value_delimiter = ',', value_parser = parse_branch)]
    allow_branch: Vec<Revision>,
    /// Deploy only commits that a key in this file has signed: ssh allowed signers, or OpenPGP
    #[arg(long, env = "HOMELAB_DEPLOY_COMMIT_SIGNERS", value_name = "FILE")]
    commit_signers: Option<PathBuf>,
}

fn parse_branch(text: &str) -> Result<Revision, String> {
    match Revision::new(text) {
        Ok(branch) if branch.is_commit() => Err("it is a commit; expected the name of a branch".to_owned()),
        Ok(branch) => Ok(branch),
        Err(error) => Err(error.to_string()),
    }
}

impl CommitArgs {
    /// What is demanded of the commits of this flake.
    pub(super) fn policy(&self, flake: &FlakeUrl, state_dir: &Path) -> Result<CommitPolicy, Failed> {
        if flake.remote().is_none() {
            let flags = [
                ("--allow-branch", !self.allow_branch.is_empty()),
                ("--commit-signers", self.commit_signers.is_some()),
            ];
            if let Some((flag, _)) = flags.into_iter().find(|(_, given)| *given) {
                return Err(Failed::usage(anyhow!(
                    "{flag} cannot be used with {}, which has no commits; expected a flake in a git repository, such as \
                     git+https://HOST/PATH",
                    flake.without_credentials()
                )));
            }
        }
        let signers = self.commit_signers.as_ref().map(|file| {
            let file = std::path::absolute(file).context("could not find the file of --commit-signers")?;
            CommitSigners::new(file).context("bad --commit-signers")
        });
        Ok(CommitPolicy {
            cache: state_dir.join("commits"),
            allowed_branches: self.allow_branch.clone(),
            signers: signers.transpose().map_err(Failed::usage)?,
        })
    }
}
