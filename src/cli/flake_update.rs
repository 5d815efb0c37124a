//! `flake-update`: update the inputs of a flake, and move its branch on only where every host builds.

mod notify;
mod repo;
mod show;

use super::connection::ConnectionArgs;
use super::exit::{Exit, Failed};
use super::flake_credentials::{self, FlakeCredentialsArgs};
use super::out::Format;
use super::sandbox::NixArgs;
use super::service::stop_on_signal;
use crate::flake_update::{ForgeKind, ForgeOrder, Order, Source, State, Token, update};
use crate::nix::Credentials;
use crate::protocol::{Name, Revision};
use clap::{Args, ValueEnum};
use show::Show;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The longest that anything may take, in seconds.
const YEAR: u64 = super::deploy::YEAR;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Forge {
    /// Gitea and Forgejo.
    Gitea,
    /// GitHub.
    Github,
}

#[derive(Debug, Args)]
pub(super) struct FlakeUpdateArgs {
    /// The flake: its directory in a checkout, or a URL that git clones; ?dir=DIR and ?submodules=1 may follow. A checkout's files
    /// and branches are left as they are
    #[arg(long, value_name = "DIR|URL", default_value = ".")]
    repo: String,
    /// The branch to update
    #[arg(long, value_name = "BRANCH", default_value = "master")]
    base: Revision,
    /// The remote of a checkout to fetch from and push to
    #[arg(long, value_name = "NAME", default_value = "origin", value_parser = parse_remote)]
    remote: String,
    /// How many hosts to build at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=1000))]
    parallel: u64,
    /// Seconds that all builds may take together
    #[arg(long, value_name = "SECONDS", default_value_t = 14400, value_parser = clap::value_parser!(u64).range(1..=YEAR))]
    timeout: u64,
    /// Update and build, but push nothing and open nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    credentials: FlakeCredentialsArgs,
    /// How to print
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
    /// The file with the token of the forge; without, no pull request is opened. Over https git uses it too
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Which API the forge has; gitea is Forgejo's too. Without, github for github.com, else gitea
    #[arg(long, value_enum)]
    forge: Option<Forge>,
    /// Where the forge is, if not where the remote is; the page of the repository, if the remote is a path
    #[arg(long, value_name = "URL")]
    forge_url: Option<String>,
    /// The label of the pull request
    #[arg(long, value_name = "NAME", default_value = "build-failure", value_parser = parse_label)]
    label: String,
    /// Seconds that each call of the forge may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    forge_timeout: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Afterwards")]
struct NotifyArgs {
    /// Once the branch has moved on, ask the builder and every host that can to build the new commit. Only for this a
    /// connection is needed
    #[arg(long)]
    notify: bool,
    /// The repository's name at the builder; without, the builder's default one
    #[arg(long, value_name = "NAME", requires = "notify")]
    builder_repo: Option<Name>,
}

fn parse_remote(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') {
        return Err("write the name of a remote, as `git remote` lists them".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_label(text: &str) -> Result<String, String> {
    let good = !text.trim().is_empty() && text.chars().count() <= 50 && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err("write 1 to 50 characters on one line".to_owned()) }
}

impl FlakeUpdateArgs {
    pub(super) async fn run(self) -> Result<Exit, Failed> {
        let order = self.order()?;
        // What is wrong with the connection is told before hours of building.
        let effective = self.notify.notify.then(|| self.connection.effective()).transpose()?;
        if let Some(effective) = &effective {
            effective.servers()?;
        }
        let stop = CancellationToken::new();
        stop_on_signal(stop.clone()).map_err(Failed::usage)?;
        let mut show = Show::new(self.output);
        let outcome = update(&order, &mut |news| show.news(news), &stop).await?;
        let exit = match outcome.state {
            State::Failed => Exit::Failed,
            State::Current | State::Updated => Exit::Done,
        };
        let pushed = outcome.pushed.as_ref().and(outcome.commit.as_deref());
        if let (Some(effective), State::Updated, Some(commit)) = (&effective, outcome.state, pushed) {
            let repo = self.notify.builder_repo.as_ref();
            let asked = notify::notify(effective, &order.base, commit, repo, &mut show).await;
            if let Err(failed) = asked {
                show.outcome(failed.exit, &outcome);
                return Err(failed);
            }
        }
        show.outcome(exit, &outcome);
        Ok(exit)
    }

    fn order(&self) -> Result<Order, Failed> {
        let forge = match &self.forge.token_file {
            None => None,
            Some(file) => Some(ForgeOrder {
                kind: self.forge.forge.map(|forge| match forge {
                    Forge::Gitea => ForgeKind::Gitea,
                    Forge::Github => ForgeKind::GitHub,
                }),
                url: self.forge.forge_url.clone(),
                token: Token::read(file).map_err(Failed::usage)?,
                timeout: Duration::from_secs(self.forge.forge_timeout),
            }),
        };
        let (source, subflake) =
            repo::read(&self.repo).map_err(|why| Failed::usage(anyhow::anyhow!("--repo {why}")))?;
        if let Source::Url(url) = &source
            && Credentials::taken_from(url).is_some()
        {
            // The update continues also if standard error is closed.
            let _ = writeln!(std::io::stderr(), "warning: {}", flake_credentials::warning("--repo"));
        }
        let credentials = self.credentials.read()?;
        Ok(Order {
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
