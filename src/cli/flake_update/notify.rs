//! Asks the builder and the hosts to build the new commit, so that it is there when it is wanted. Nobody waits for that.

use super::super::effective::Effective;
use super::super::exit::{Exit, Failed};
use super::show::Show;
use crate::flake_update::News;
use crate::protocol::{Name, Revision};

/// Connects and asks. `repo` is the repository's name at the builder. What fails here takes nothing back.
pub(super) async fn notify(
    effective: &Effective,
    branch: &Revision,
    commit: &str,
    repo: Option<&Name>,
    show: &mut Show,
) -> Result<(), Failed> {
    let asked = ask(effective, branch, commit, repo).await.map_err(|failed| {
        let error = anyhow::anyhow!(
            "{branch} is pushed, but the builder and the hosts were not asked to build it: {:#}; `homelab-deploy deploy \
             --all --tier TIER --action build` asks the hosts",
            failed.error
        );
        Failed { exit: Exit::Link, error }
    })?;
    for note in asked {
        show.news(News::Note(note));
    }
    Ok(())
}

async fn ask(
    effective: &Effective,
    branch: &Revision,
    commit: &str,
    repo: Option<&Name>,
) -> Result<Vec<String>, Failed> {
    let commit = Revision::new(commit).map_err(Failed::usage)?;
    let mut operator = effective.operator().await?;
    Ok(operator.prebuild(branch, &commit, repo).await?)
}
