//! `flake-update`: update the inputs of a flake and advance its branch only if every host builds.

mod printer;
mod repo;

use super::connection::ConnectionArgs;
use super::exit::{CommandError, Exit};
use super::flake_credentials::{self, FlakeCredentialsArgs};
use super::logging;
use super::output::Format;
use super::resolved_config::ResolvedConfig;
use super::sandbox::NixArgs;
use super::service::stop_on_signal;
use crate::client::prebuild;
use crate::flake_update::{
    FlakeUpdateEvent, FlakeUpdateOptions, FlakeUpdateState, ForgeOptions, RepositorySource, Token, update,
};
use crate::git::{Credentials, Forge};
use crate::protocol::{Name, Revision};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use printer::FlakeUpdatePrinter;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Upper limit of time arguments, in seconds.
const YEAR: u64 = super::operation::YEAR;

impl ValueEnum for Forge {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::WITH_PULL_REQUESTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = if *self == Self::Gitea { "Gitea and Forgejo" } else { "GitHub" };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

#[derive(Debug, Args)]
pub(super) struct FlakeUpdateArgs {
    /// Flake in a checkout (never modified) or a git URL; accepts ?dir=DIR and ?submodules=1
    #[arg(long, value_name = "DIR|URL", default_value = ".")]
    repo: String,
    /// Branch to update
    #[arg(long, value_name = "BRANCH", default_value = "master")]
    base: Revision,
    /// Remote of a checkout to fetch from and push to
    #[arg(long, value_name = "NAME", default_value = "origin", value_parser = parse_remote)]
    remote: String,
    /// Number of hosts to build in parallel
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1000))]
    parallel: u64,
    /// Time limit for all builds together, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 14400, value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Update and build, but do not push or open a pull request
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    credentials: FlakeCredentialsArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    output: Format,
    #[command(flatten)]
    forge: ForgeArgs,
    #[command(flatten)]
    nix: NixArgs,
    #[command(flatten)]
    notify: NotifyArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Pull request")]
struct ForgeArgs {
    /// Forge token file, also for git over https; without it no pull request is opened
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Forge API; gitea includes Forgejo [default: github for github.com, else gitea]
    #[arg(long, value_enum)]
    forge: Option<Forge>,
    /// Forge URL if unlike the remote; the repository's page if the remote is a path
    #[arg(long, value_name = "URL")]
    forge_url: Option<String>,
    /// Label of the pull request
    #[arg(long, value_name = "NAME", default_value = "build-failure", value_parser = parse_label)]
    label: String,
    /// Time limit of each forge request, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    forge_timeout: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Afterwards")]
struct NotifyArgs {
    /// Ask the builder and capable hosts to build the new commit; requires a connection
    #[arg(long)]
    notify: bool,
    /// Repository name on the builder [default: the builder's default repository]
    #[arg(long, value_name = "NAME", requires = "notify")]
    builder_repo: Option<Name>,
}

fn parse_remote(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') {
        return Err("expected the name of a remote; `git remote` lists them".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_label(text: &str) -> Result<String, String> {
    let good = !text.trim().is_empty() && text.chars().count() <= 50 && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err("expected 1 to 50 characters on one line".to_owned()) }
}

impl FlakeUpdateArgs {
    pub(super) async fn run(self) -> Result<Exit, CommandError> {
        logging::show_warnings();
        let options = self.options()?;
        // Connection settings are checked before builds that may take hours.
        let resolved = self.notify.notify.then(|| self.connection.resolve()).transpose()?;
        if let Some(resolved) = &resolved {
            resolved.servers()?;
        }
        let stop = CancellationToken::new();
        stop_on_signal(stop.clone()).map_err(CommandError::usage)?;
        let mut printer = FlakeUpdatePrinter::new(self.output);
        let outcome = update(&options, &mut |event| printer.print_event(event), &stop).await?;
        let exit = match outcome.state {
            FlakeUpdateState::Failed => Exit::Failure,
            FlakeUpdateState::Current | FlakeUpdateState::Updated => Exit::Success,
        };
        let pushed = outcome.pushed.as_ref().and(outcome.commit.as_deref());
        if let (Some(resolved), FlakeUpdateState::Updated, Some(commit)) = (&resolved, outcome.state, pushed)
        {
            let repo = self.notify.builder_repo.as_ref();
            let asked = notify(resolved, &options.base, commit, repo, &mut printer).await;
            if let Err(failed) = asked {
                printer.print_result(failed.exit, &outcome);
                return Err(failed);
            }
        }
        printer.print_result(exit, &outcome);
        Ok(exit)
    }

    fn options(&self) -> Result<FlakeUpdateOptions, CommandError> {
        let forge = match &self.forge.token_file {
            None => None,
            Some(file) => Some(ForgeOptions {
                kind: self.forge.forge,
                url: self.forge.forge_url.clone(),
                token: Token::read(file).map_err(CommandError::usage)?,
                timeout: Duration::from_secs(self.forge.forge_timeout),
            }),
        };
        let (source, subflake) =
            repo::read(&self.repo).map_err(|why| CommandError::usage(anyhow::anyhow!("--repo {why}")))?;
        if let RepositorySource::Url(url) = &source
            && Credentials::split_url(url).is_some()
        {
            // The update continues even if standard error is closed.
            let _ = writeln!(std::io::stderr(), "warning: {}", flake_credentials::warning("--repo"));
        }
        let credentials = self.credentials.read()?;
        Ok(FlakeUpdateOptions {
            source,
            subflake,
            remote: self.remote.clone(),
            base: self.base.clone(),
            forge,
            label: self.forge.label.clone(),
            dry_run: self.dry_run,
            parallel: usize::try_from(self.parallel).unwrap_or(1),
            timeout: Duration::from_secs(self.timeout),
            nix: self.nix.nix().credentials(credentials.clone()),
            sandbox: self.nix.sandbox()?,
            credentials,
        })
    }
}

/// Connects and sends the requests. `repo` is the repository's name on the builder. A failure does not revert the
/// update.
async fn notify(
    resolved: &ResolvedConfig,
    branch: &Revision,
    commit: &str,
    repo: Option<&Name>,
    printer: &mut FlakeUpdatePrinter,
) -> Result<(), CommandError> {
    let notes = request_builds(resolved, branch, commit, repo).await.map_err(|failed| {
        let error = anyhow::anyhow!(
            "pushed {branch}, but could not ask the builder and the hosts to build it: {:#}; to ask the hosts, run \
             `homelab-deploy deploy --all --tier TIER --action build`",
            failed.error
        );
        CommandError { exit: Exit::Connection, error }
    })?;
    for note in notes {
        printer.print_event(FlakeUpdateEvent::Note(note));
    }
    Ok(())
}

async fn request_builds(
    resolved: &ResolvedConfig,
    branch: &Revision,
    commit: &str,
    repo: Option<&Name>,
) -> Result<Vec<String>, CommandError> {
    let commit = Revision::new(commit).map_err(CommandError::usage)?;
    let mut operator = resolved.operator().await?;
    Ok(prebuild(&mut operator, branch, &commit, repo).await?)
}
