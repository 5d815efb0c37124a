//! `demo`: everything on this machine, gone afterwards.

use super::block_on;
use super::deploy::follow_to_the_end;
use super::exit::{Exit, Failed};
use super::out::{Format, Out};
use super::render;
use super::service::stop_on_signal;
use super::tui::{self, is_terminal};
use crate::bus::Bus;
use crate::demo::{self, Demo, Pace};
use crate::deployer::{Discovery, Intent, Operator, Plan, Selection};
use crate::protocol::{Action, Name, Revision};
use crate::temporary::Temporary;
use crate::tui::{Options, Sort};
use anyhow::Context;
use clap::Args;
use ratatui::layout::Size;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// The size of the frame that is printed where there is no terminal.
const FRAME: Size = Size { width: 100, height: 30 };

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How many hosts to simulate
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=2000))]
    hosts: u16,
    /// Run the broker of a demo in this folder until its parent ends
    #[arg(long, hide = true, value_name = "DIR")]
    keeper: Option<PathBuf>,
}

impl DemoArgs {
    pub(super) fn run(self) -> Result<Exit, Failed> {
        if let Some(folder) = &self.keeper {
            demo::keep(folder).map_err(Failed::host)?;
            return Ok(Exit::Done);
        }
        block_on(self.show())
    }

    async fn show(&self) -> Result<Exit, Failed> {
        let folder = Temporary::new("homelab-deploy-demo")
            .context("could not make a temporary folder")
            .map_err(Failed::host)?;
        let program =
            std::env::current_exe().context("could not find our own executable").map_err(Failed::host)?;
        // Before anything is started, so that no signal finds us unprepared.
        let stop = CancellationToken::new();
        let signals =
            stop_on_signal(stop.clone()).context("could not listen for signals").map_err(Failed::host)?;
        let mut out = Out::new();
        out.line(&format!("starting a private nats-server and {} simulated hosts", self.hosts));
        let pace = if is_terminal() { Pace::Day } else { Pace::Show };
        let simulation = Simulation::start().context("could not start").map_err(Failed::host)?;
        let (directory, hosts, ours) = (folder.path().to_owned(), usize::from(self.hosts), program.clone());
        let demo = simulation.run(async move { Demo::start(&directory, hosts, &ours, pace).await }).await?;
        out.line(&format!("the broker listens on {}", demo.url()));
        if pace == Pace::Day {
            let command = demo.example(&program);
            out.line(&format!(
                "commands work from another terminal as long as the demo runs, for example\n  {command}"
            ));
        }
        let exit = if pace == Pace::Day {
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
        drop((simulation, folder));
        exit
    }
}

/// A thread for the simulated hosts, which must not slow the console down.
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

    /// Runs something there; what it spawns runs there too.
    async fn run<T, E>(&self, work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, Failed>
    where
        T: Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        self.runtime.spawn(work).await.map_err(Failed::host)?.map_err(Failed::host)
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

fn interrupted() -> Failed {
    Failed { exit: Exit::Interrupted, error: anyhow::anyhow!("interrupted; the demo is gone") }
}

/// The operator of the demo.
fn operator(bus: Bus, demo: &Demo) -> Operator {
    Operator::new(bus, demo.roster(), "operator@demo".to_owned())
}

/// On a small terminal not every host is in view: what needs attention comes first.
fn options(demo: &Demo, operator: &Operator) -> Options {
    Options { sort: Sort::State, ..tui::usual(demo.url().to_owned(), operator.issuer.clone()) }
}

/// The console, until the operator leaves it.
async fn console(demo: &Demo, stop: CancellationToken) -> Result<Exit, Failed> {
    let bus = Bus::lasting(&demo.operator().map_err(Failed::host)?).await?;
    let operator = operator(bus, demo);
    // Somebody may have a real host of that name.
    let shell = Some("echo '{host} is only simulated; enter goes back'; read -r _; #".to_owned());
    let options = Options {
        branch: Some("main".to_owned()),
        follows: Revision::new("main").ok(),
        shell,
        ..options(demo, &operator)
    };
    crate::tui::run(operator, options, stop).await?;
    Ok(Exit::Done)
}

/// Shows the hosts, deploys to those of the tier `test`, and shows how it ended.
async fn deploy(demo: &Demo, out: &mut Out) -> Result<Exit, Failed> {
    let settings = demo.operator().map_err(Failed::host)?;
    let mut operator = operator(Bus::once(&settings).await?, demo);
    let discovery = everybody(&mut operator, demo.count).await?;
    out.line("");
    out.line(&render::fleet(&discovery.fleet.hosts_by_name(), discovery.at));
    let (tier, revision) = (Name::new("test"), Revision::new("main"));
    let (tier, revision) = (tier.map_err(Failed::host)?, revision.map_err(Failed::host)?);
    let intent = Intent { revision: Some(revision), ..Intent::new(Action::Switch, operator.issuer.clone()) };
    let plan = Plan::new(
        intent,
        &Selection::All { tier: Some(tier), role: None },
        &discovery.fleet,
        discovery.at,
        false,
    )?;
    out.line("\ndeploying main to every host of the tier test; the health check of one will fail\n");
    let follow = operator.send(plan, discovery.fleet, None, Duration::from_mins(2)).await?;
    let outcome = follow_to_the_end(follow, Format::Human).await?;
    out.line("\non a terminal the demo opens the console instead, which now shows:\n");
    let options = options(demo, &operator);
    let picture = crate::tui::snapshot(operator, options, FRAME, &[]).await?;
    out.line(&picture);
    // One host fails on purpose; anything else would be a fault.
    match outcome {
        Exit::Done | Exit::Failed => Ok(Exit::Done),
        other => Ok(other),
    }
}

/// Discovers until every host of the demo has come up.
async fn everybody(operator: &mut Operator, count: usize) -> Result<Discovery, Failed> {
    for _ in 0..60 {
        let discovery = operator.discover(None, None).await?;
        if discovery.answered.len() == count {
            return Ok(discovery);
        }
    }
    Err(Failed::host(anyhow::anyhow!("not every simulated host came up within a minute")))
}
