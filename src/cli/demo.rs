//! `demo`: a temporary fleet on this machine.

use super::deploy::follow_to_end;
use super::exit::{CommandError, Exit};
use super::output::{Format, Output};
use super::resolved_config::state_directory;
use super::service::stop_on_signal;
use super::tui::{self, is_terminal};
use super::{block_on, render};
use crate::client::{CommitClones, DeploymentFollower, Discovery, Intent, Operator, Plan, Selection};
use crate::demo::{self, Demo, DemoPace};
use crate::nats::Client;
use crate::private_file;
use crate::protocol::{Action, Name, Revision};
use crate::tui::Options;
use anyhow::Context;
use clap::Args;
use ratatui::layout::Size;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Width of the progress bar, in columns.
const BAR_WIDTH: usize = 40;
/// Shortest time between two updates of the bar, and between two lines without a terminal.
const BAR_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(1);
/// Size of the frame that is printed without a terminal.
const FRAME: Size = Size { width: 100, height: 30 };

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Number of hosts to simulate
    #[arg(long, default_value_t = 14, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    hosts: u16,
    /// Run the NATS server of a demo in this directory until the parent process ends
    #[arg(long, hide = true, value_name = "DIR")]
    supervisor: Option<PathBuf>,
}

impl DemoArgs {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        if let Some(tempdir) = &self.supervisor {
            demo::supervise(tempdir).map_err(CommandError::failure)?;
            return Ok(Exit::Success);
        }
        block_on(self.show())
    }

    async fn show(&self) -> Result<Exit, CommandError> {
        let tempdir = private_file::temporary_dir("homelab-deploy-demo")
            .context("could not create a temporary directory")
            .map_err(CommandError::failure)?;
        let program = std::env::current_exe()
            .context("could not find the path of this executable")
            .map_err(CommandError::failure)?;
        // Signals are handled before anything is started, so that everything is cleaned up.
        let stop = CancellationToken::new();
        let signals = stop_on_signal(stop.clone())
            .context("could not listen for signals")
            .map_err(CommandError::failure)?;
        let mut out = Output::new();
        out.line(&format!("starting a private NATS server and {} simulated hosts", self.hosts));
        let pace = if is_terminal() { DemoPace::Interactive } else { DemoPace::Fast };
        let simulation = Simulation::start().context("could not start").map_err(CommandError::failure)?;
        let (directory, hosts, ours) = (tempdir.path().to_owned(), usize::from(self.hosts), program.clone());
        if let Some(warning) = demo::memory_warning(hosts) {
            out.line(&format!("warning: {warning}"));
        }
        demo::raise_open_files();
        let demo = simulation.start_demo(directory, hosts, ours, pace, &mut out, &stop).await?;
        out.line(&format!("the NATS server listens on {}", demo.url()));
        if pace == DemoPace::Interactive {
            let command = demo.example(&program);
            out.line(&format!(
                "commands work from another terminal while the demo runs, for example\n  {command}"
            ));
        }
        let exit = if pace == DemoPace::Interactive {
            signals.abort();
            tui::stop_on_terminate(stop.clone())?;
            console(&demo, stop).await
        } else {
            tokio::select! {
                exit = deploy(&demo, &mut out) => exit,
                () = stop.cancelled() => Err(interrupted()),
            }
        };
        simulation.run(demo.stop()).await?;
        drop((simulation, tempdir));
        exit
    }
}

/// How many hosts are up: a bar that is redrawn in place, or lines without a terminal.
struct StartBar {
    hosts: usize,
    live: bool,
    shown_at: Option<Instant>,
}

impl StartBar {
    fn new(hosts: usize, out: &Output) -> Self {
        Self { hosts, live: out.live, shown_at: None }
    }

    /// Shows the number of hosts that are up, unless it was shown a moment ago.
    fn show(&mut self, up: usize, out: &mut Output) {
        let pause = if self.live { BAR_INTERVAL } else { LINE_INTERVAL };
        let is_last = up == self.hosts;
        if !is_last && self.shown_at.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        self.shown_at = Some(Instant::now());
        let text = format!("{up} of {} hosts are up", self.hosts);
        if self.live {
            let filled = BAR_WIDTH * up / self.hosts.max(1);
            let bar = ["#".repeat(filled), "-".repeat(BAR_WIDTH - filled)].concat();
            out.redraw(&format!("[{bar}] {text}"));
        } else if up > 0 {
            out.line(&text);
        }
    }

    /// Removes the bar.
    fn finish(self, out: &mut Output) {
        if self.live {
            out.redraw("");
        }
    }
}

/// Thread with a separate runtime for the simulated hosts, which must not slow down the console.
struct Simulation {
    runtime: Handle,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Simulation {
    fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || runtime.block_on(stopped.cancelled()));
        Ok(Self { runtime: handle, stop, thread: Some(thread) })
    }

    /// Starts the demo, and shows how many of its hosts are up.
    async fn start_demo(
        &self,
        directory: PathBuf,
        hosts: usize,
        program: PathBuf,
        pace: DemoPace,
        out: &mut Output,
        stop: &CancellationToken,
    ) -> Result<Demo, CommandError> {
        let ((up_tx, mut up), mut bar) = (watch::channel(0), StartBar::new(hosts, out));
        let mut start = std::pin::pin!(self.run(async move {
            let progress = move |count| {
                up_tx.send_replace(count);
            };
            Demo::start(&directory, hosts, &program, pace, progress).await
        }));
        let demo = loop {
            tokio::select! {
                demo = &mut start => break demo?,
                // Its server and its directory are removed when the runtime ends.
                () = stop.cancelled() => return Err(interrupted()),
                Ok(()) = up.changed() => bar.show(*up.borrow_and_update(), out),
            }
        };
        bar.finish(out);
        Ok(demo)
    }

    /// Runs a future, and the tasks that it spawns, on that runtime.
    async fn run<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Result<T, CommandError>
    where
        T: Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        self.runtime.spawn(work).await.map_err(CommandError::failure)?.map_err(CommandError::failure)
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn interrupted() -> CommandError {
    CommandError { exit: Exit::Interrupted, error: anyhow::anyhow!("interrupted; the demo was removed") }
}

/// Creates the demo's operator.
fn operator(nats: Client, demo: &Demo) -> Operator {
    let clones = Some(CommitClones::new(demo.directory().join("commits")));
    Operator { clones, ..Operator::new(nats, demo.inventory(), "operator@demo".to_owned()) }
}

/// Console options.
fn options(demo: &Demo, operator: &Operator) -> Options {
    tui::default_options(demo.url().to_owned(), operator.issuer.clone())
}

/// Runs the console until the operator quits.
async fn console(demo: &Demo, stop: CancellationToken) -> Result<Exit, CommandError> {
    let nats = Client::connect_persistent(&demo.operator().map_err(CommandError::failure)?).await?;
    let operator = operator(nats, demo);
    // A real host with that name may exist, so no shell is opened there.
    let shell = Some("echo '{host} is only simulated; press enter to return'; read -r _; #".to_owned());
    let options = Options {
        branch: Some("main".to_owned()),
        tracked_branch: Revision::new("main").ok(),
        shell,
        log_directory: state_directory("logs"),
        ..options(demo, &operator)
    };
    crate::tui::run(operator, options, stop).await?;
    Ok(Exit::Success)
}

/// Prints the hosts, deploys to the tier `test`, and prints the result.
async fn deploy(demo: &Demo, out: &mut Output) -> Result<Exit, CommandError> {
    let settings = demo.operator().map_err(CommandError::failure)?;
    let mut operator = operator(Client::connect(&settings).await?, demo);
    let discovery = discover_all(&mut operator, demo.count).await?;
    out.line("");
    out.line(&render::fleet(&discovery.fleet.hosts_by_name(), discovery.at));
    let (tier, revision) = (Name::new("test"), Revision::new("main"));
    let (tier, revision) = (tier.map_err(CommandError::failure)?, revision.map_err(CommandError::failure)?);
    let intent = Intent { revision: Some(revision), ..Intent::new(Action::Switch, operator.issuer.clone()) };
    let plan = Plan::new(
        intent,
        &Selection::All { tier: Some(tier), role: None },
        &discovery.fleet,
        discovery.at,
        false,
    )?;
    out.line("\ndeploying main to all hosts of the tier test; the health check of one host will fail\n");
    let follow =
        DeploymentFollower::send(&operator, plan, discovery.fleet, None, Duration::from_mins(2)).await?;
    let outcome = follow_to_end(follow, Format::Human).await?;
    out.line("\non a terminal the demo opens the console instead, which now shows:\n");
    let options = options(demo, &operator);
    let frame = crate::tui::snapshot(operator, options, FRAME, &[], out.colours).await?;
    out.line(&frame);
    // One host fails by design; any other exit is a failure of the demo.
    match outcome {
        Exit::Success | Exit::Failure => Ok(Exit::Success),
        other => Ok(other),
    }
}

/// Repeats discovery until every host of the demo answers.
async fn discover_all(operator: &mut Operator, count: usize) -> Result<Discovery, CommandError> {
    for _ in 0..60 {
        let discovery = operator.discover(None, None).await?;
        if discovery.answered.len() == count {
            return Ok(discovery);
        }
    }
    Err(CommandError::failure(anyhow::anyhow!("not all simulated hosts answered within a minute")))
}
