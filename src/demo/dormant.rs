//! The hosts of a large demo that have not received a request yet. One connection speaks for all of them: it announces
//! them, answers queries about them, and starts the listener of each one that receives a request.

use super::engine::ACTIONS;
use super::launcher::Launcher;
use super::machine::SimulatedMachine;
use super::scenario::Scenario;
use super::seed_history::{SeedHistory, SeedJob};
use super::{DemoError, DemoHost};
use crate::fleet::journal_cause;
use crate::nats::{Client, ConnectionSettings, Nkey, Received};
use crate::protocol::{
    Action, DISCOVER, DeployReport, HistoryReply, InternedStr, JobReply, Name, PRESENCE, Presence, Purpose,
    Query, QueryKind, QueryReply, Status, host_subject, role_subject, tier_subject,
};
use crate::service::ServiceError;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, interval, timeout_at};
use tokio_util::sync::CancellationToken;

/// Number of announcements per second of all dormant hosts together.
const ANNOUNCEMENTS_PER_SECOND: usize = 100;
/// Shortest interval between two announcements of a dormant host, in seconds.
const MIN_INTERVAL: usize = 10;
/// Number of messages sent before other tasks get a turn.
const BURST: usize = 32;
/// Number of listeners that start at the same time.
const STARTS: usize = 32;
/// How long these starts may take.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Number of entries in a history reply if the query has no limit.
const HISTORY_LIMIT: u64 = 20;

/// A message for a host that is not dormant, or no longer.
struct Forward {
    host: usize,
    subject: String,
    reply: Option<String>,
    purpose: Purpose,
    payload: Vec<u8>,
}

/// A host of one kind with its replayed jobs; hosts of the same kind differ only in names and numbers.
struct Model {
    machine: SimulatedMachine,
    presence: Presence,
}

/// The dormant hosts.
pub(super) struct DormantHosts {
    hosts: Vec<DemoHost>,
    keys: Vec<Nkey>,
    encoded: Vec<Vec<u8>>,
    places: HashMap<Name, usize>,
    models: HashMap<(Name, Scenario), Model>,
    history: Arc<SeedHistory>,
    nats: Client,
    /// The hosts whose listener runs or starts.
    woken: HashSet<usize>,
    /// Those of them whose listener receives messages itself.
    started: Arc<Mutex<HashSet<usize>>>,
    interval_s: usize,
    sequence: u64,
    forward: mpsc::UnboundedSender<Forward>,
}

impl DormantHosts {
    /// Connects, announces all hosts and serves them until `shutdown`.
    pub(super) async fn run(
        hosts: Vec<(DemoHost, Nkey)>,
        history: Arc<SeedHistory>,
        (settings, waker_settings): (ConnectionSettings, ConnectionSettings),
        launcher: Launcher,
        shutdown: CancellationToken,
    ) -> Result<(), DemoError> {
        let nats = Client::connect(&settings).await?;
        let (hosts, keys): (Vec<_>, Vec<_>) = hosts.into_iter().unzip();
        let (forward, forwarded) = mpsc::unbounded_channel();
        let started: Arc<Mutex<HashSet<usize>>> = Arc::default();
        let waker = Waker {
            hosts: hosts.clone(),
            nats: Client::connect(&waker_settings).await?,
            launcher,
            keys: keys.clone(),
            launched: HashSet::new(),
            started: started.clone(),
        };
        let waker = tokio::spawn(waker.run(forwarded, shutdown.clone()));
        let dormant = Self {
            places: hosts.iter().enumerate().map(|(at, host)| (host.name.clone(), at)).collect(),
            models: HashMap::new(),
            history,
            nats,
            woken: HashSet::new(),
            started,
            interval_s: MIN_INTERVAL.max(hosts.len() / ANNOUNCEMENTS_PER_SECOND),
            sequence: 0,
            forward,
            encoded: vec![Vec::new(); hosts.len()],
            hosts,
            keys,
        };
        dormant.serve(shutdown).await?;
        let _ = waker.await;
        Ok(())
    }

    async fn serve(mut self, shutdown: CancellationToken) -> Result<(), DemoError> {
        let read = |_: &str, payload: &[u8]| payload.to_vec();
        let mut test = self.nats.subscribe("deploy.test.>", read).await.map_err(DemoError::Dormant)?;
        let mut prod = self.nats.subscribe("deploy.prod.>", read).await.map_err(DemoError::Dormant)?;
        let mut queries = self
            .nats
            .subscribe(DISCOVER, |_, payload| Query::parse(payload))
            .await
            .map_err(DemoError::Dormant)?;
        for at in 0..self.hosts.len() {
            self.announce(at).await;
            if at % BURST == 0 {
                if shutdown.is_cancelled() {
                    return Ok(());
                }
                yield_now().await;
            }
        }
        let mut next = 0;
        let mut turn = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                request = test.next() => self.on_request(request),
                request = prod.next() => self.on_request(request),
                Received { message: Some(query), .. } = queries.next() => if let Ok(query) = query {
                    self.on_query(&query).await;
                },
                _ = turn.tick() => {
                    for _ in 0..self.hosts.len().div_ceil(self.interval_s) {
                        self.announce(next).await;
                        next = (next + 1) % self.hosts.len();
                    }
                }
            }
        }
    }

    /// Announces a host that is still dormant. If the connection is down, the next turn announces it.
    async fn announce(&mut self, at: usize) {
        if !self.woken.contains(&at) {
            let payload = self.encoded(at).to_vec();
            let _ = self.nats.publish_signed_by(&self.keys[at], Purpose::Presence, PRESENCE, payload).await;
        }
    }

    /// Starts the listeners of the hosts that a request is for, and forwards it to them.
    fn on_request(&mut self, received: Received<Vec<u8>>) {
        let Received { subject, reply, message: Some(payload), .. } = received else { return };
        let name = subject.rsplit('.').next().and_then(|name| Name::new(name).ok());
        let direct = name.and_then(|name| self.places.get(&name).copied());
        let direct =
            direct.filter(|at| host_subject(&self.hosts[*at].tier, &self.hosts[*at].name) == subject);
        let targets: Vec<usize> = match direct {
            Some(at) => vec![at],
            None => (0..self.hosts.len()).filter(|at| receives(&self.hosts[*at], &subject)).collect(),
        };
        for at in targets {
            self.woken.insert(at);
            if !self.has_started(at) {
                let host = &self.hosts[at];
                let subject = host_subject(&host.tier, &host.name);
                let (reply, payload, purpose) = (reply.clone(), payload.clone(), Purpose::Request);
                let _ = self.forward.send(Forward { host: at, subject, reply, purpose, payload });
            }
        }
    }

    fn has_started(&self, at: usize) -> bool {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).contains(&at)
    }

    async fn on_query(&mut self, query: &Query) {
        let addressed: Vec<usize> = if query.hosts.is_empty() {
            (0..self.hosts.len()).collect()
        } else {
            query.hosts.iter().filter_map(|name| self.places.get(name).copied()).collect()
        };
        for (sent, at) in addressed.into_iter().enumerate() {
            let host = &self.hosts[at];
            let needs_listener = self.woken.contains(&at) || query.kind() == QueryKind::Log;
            if self.has_started(at) || !query.matches(&host.name, &host.tier, Some(&host.role)) {
                continue;
            }
            let reply = match query.kind() {
                QueryKind::Presence => continue,
                // A log is only on disk.
                _ if needs_listener => {
                    self.woken.insert(at);
                    let payload = Query { hosts: vec![host.name.clone()], ..query.clone() }.encode();
                    let (subject, purpose) = (DISCOVER.to_owned(), Purpose::Query);
                    let _ = self.forward.send(Forward { host: at, subject, reply: None, purpose, payload });
                    continue;
                }
                QueryKind::History => self.history_of(host, query).encode(),
                QueryKind::Job => self.job_of(host, query).encode(),
                _ => self.host_reply(at, query),
            };
            let subject = query.destination().subject(&self.hosts[at].name);
            let purpose = Purpose::of_response(&subject);
            let _ = self.nats.publish_signed_by(&self.keys[at], purpose, &subject, reply).await;
            if sent % BURST == 0 {
                yield_now().await;
            }
        }
    }

    /// The encoded presence of a dormant host. It is kept, because a query may be for all hosts.
    fn encoded(&mut self, at: usize) -> &[u8] {
        if self.encoded[at].is_empty() {
            self.encoded[at] = self.presence(at).encode();
        }
        &self.encoded[at]
    }

    /// The encoded reply to a query for the state of a host: its presence, with the fields of the query.
    fn host_reply(&mut self, at: usize, query: &Query) -> Vec<u8> {
        let mut reply = b"{".to_vec();
        let fields = [
            ("query", query.query.as_ref().map(ToString::to_string)),
            ("id", query.id.as_ref().map(ToString::to_string)),
        ];
        for (name, value) in fields {
            // Kinds and ids need no escapes.
            reply.extend(
                value.map(|value| format!("\"{name}\":\"{value}\",")).unwrap_or_default().into_bytes(),
            );
        }
        reply.extend_from_slice(self.encoded(at).get(1..).unwrap_or_default());
        reply
    }

    /// The presence of a dormant host, as its listener would announce it.
    fn presence(&mut self, at: usize) -> Presence {
        let host = &self.hosts[at];
        let model = self.models.entry((host.role.clone(), host.scenario)).or_insert_with(|| {
            let (machine, jobs) = self.history.replay(host);
            Model { presence: presence_of(host, &machine, jobs), machine }
        });
        let machine = model.machine.moved_to(host);
        let facts = machine.facts();
        let shift = |number: u64| {
            let shifted = i128::from(number) + i128::from(facts.generation.unwrap_or(0))
                - i128::from(model.machine.facts().generation.unwrap_or(0));
            u64::try_from(shifted).unwrap_or(number)
        };
        let moved = |report: &Arc<DeployReport>| Arc::new(moved(report, host, shift));
        self.sequence += 1;
        let subjects = vec![
            host_subject(&host.tier, &host.name),
            tier_subject(&host.tier),
            role_subject(&host.tier, &host.role),
        ];
        Presence {
            hostname: host.name.clone(),
            tier: host.tier.clone(),
            role: Some(host.role.clone()),
            deploy_subjects: subjects.into_iter().map(InternedStr::from).collect(),
            instance: Some(Launcher::instance(host).as_str().into()),
            seq: Some((1_000_000 + self.sequence).min(1_999_999)),
            system: facts.system.map(Into::into),
            booted_system: facts.booted_system.map(Into::into),
            generation: facts.generation,
            nix_free_bytes: facts.nix_free_bytes,
            boot_free_bytes: facts.boot_free_bytes,
            job: model.presence.job.as_ref().map(moved),
            last_change: model.presence.last_change.as_ref().map(moved),
            flake_url: Some((*self.history.flake()).into()),
            public_key: Some(self.keys[at].public_key().into()),
            interval_s: Some(self.interval_s as u64),
            ..model.presence.clone()
        }
    }

    fn history_of(&self, host: &DemoHost, query: &Query) -> QueryReply {
        let (_, jobs) = self.history.replay(host);
        let older = jobs
            .iter()
            .rev()
            .map(SeedJob::entry)
            .skip_while(|entry| query.before.as_ref().is_some_and(|before| entry.id != *before));
        let mut entries: Vec<_> = older.skip(usize::from(query.before.is_some())).collect();
        let limit = usize::try_from(query.limit.unwrap_or(HISTORY_LIMIT)).unwrap_or(usize::MAX);
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| has_more).map(|entry| entry.id.clone());
        QueryReply::History(HistoryReply {
            query: QueryKind::History,
            hostname: host.name.clone(),
            entries,
            next,
        })
    }

    fn job_of(&self, host: &DemoHost, query: &Query) -> QueryReply {
        let (_, jobs) = self.history.replay(host);
        let wanted = |job: &SeedJob| query.id.is_none() || job.report.id == query.id;
        let report = jobs.into_iter().rfind(wanted).map(|job| Arc::new(job.report));
        QueryReply::Job(JobReply {
            query: QueryKind::Job,
            id: query.id.clone(),
            hostname: host.name.clone(),
            report,
        })
    }
}

/// Whether the host receives requests for its group on this subject.
fn receives(host: &DemoHost, subject: &str) -> bool {
    subject == tier_subject(&host.tier) || subject == role_subject(&host.tier, &host.role)
}

/// The presence of a host after these jobs.
fn presence_of(host: &DemoHost, machine: &SimulatedMachine, jobs: Vec<SeedJob>) -> Presence {
    let facts = machine.facts();
    let reports: Vec<_> = jobs.into_iter().map(|job| without_diagnostics(job.report)).collect();
    let has_deployed = |report: &&DeployReport| {
        report.status == Status::Completed
            && matches!(report.action, Some(Action::Switch | Action::Test | Action::Boot))
            && report.system.as_deref() == facts.system.as_deref()
    };
    let deployed = reports.iter().rfind(has_deployed).cloned();
    let newest = reports.last();
    let change = reports.iter().rfind(|report| report.is_change());
    let change = change.filter(|change| newest.is_some_and(|newest| newest.id != change.id));
    Presence {
        version: Some(env!("CARGO_PKG_VERSION").into()),
        revision: deployed.as_ref().and_then(|job| job.revision.clone()),
        commit: deployed.as_ref().and_then(|job| job.commit.clone()),
        deployed_at: deployed.and_then(|job| job.at),
        os_version: facts.os_version.map(Into::into),
        reboot_needed: facts.reboot_needed,
        failed_units: facts.failed_units,
        booted_at: facts.booted_at,
        job: newest.cloned().map(Arc::new),
        last_change: change.cloned().map(Arc::new),
        warnings: host.warnings(),
        capabilities: [&ACTIONS[..], &[Action::Hold, Action::Release]].concat(),
        trusted_keys: Some(Vec::new()),
        ..Presence::new(
            host.name.clone(),
            host.tier.clone(),
            Some(host.role.clone()),
            Vec::<InternedStr>::new(),
        )
    }
}

fn without_diagnostics(report: DeployReport) -> DeployReport {
    let cause = report.diagnostics.as_deref().and_then(journal_cause);
    DeployReport { diagnostics: None, cause: cause.or(report.cause.clone()), ..report }
}

/// The report of the same job on another host; `shift` converts the numbers of generations.
fn moved(report: &DeployReport, host: &DemoHost, shift: impl Fn(u64) -> u64) -> DeployReport {
    let mut moved = DeployReport {
        hostname: host.name.clone(),
        tier: Some(host.tier.clone()),
        role: Some(host.role.clone()),
        ..report.clone()
    };
    if let Some(generation) = report.generation {
        let shown = format!("generation {generation}");
        moved.generation = Some(shift(generation));
        moved.message = report.message.replace(&shown, &format!("generation {}", shift(generation)));
    }
    let commit = report.commit.as_deref().and_then(super::commit::Commit::named);
    if let (Some(_), Some(commit)) = (&report.system, commit) {
        moved.system = Some(super::machine::SimulatedSystem::of(host, commit).path.into());
    }
    moved
}

/// Starts listeners and forwards the messages that they were started for.
struct Waker {
    hosts: Vec<DemoHost>,
    nats: Client,
    launcher: Launcher,
    keys: Vec<Nkey>,
    /// The hosts whose listener was started.
    launched: HashSet<usize>,
    /// Those of them whose listener receives messages.
    started: Arc<Mutex<HashSet<usize>>>,
}

impl Waker {
    async fn run(mut self, mut forwarded: mpsc::UnboundedReceiver<Forward>, shutdown: CancellationToken) {
        let mut listeners: JoinSet<Result<(), ServiceError>> = JoinSet::new();
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                received = forwarded.recv_many(&mut batch, STARTS) => if received == 0 { break },
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.wake(&batch, &mut listeners) => {}
            }
            batch.clear();
        }
        while listeners.join_next().await.is_some() {}
    }

    async fn wake(&mut self, batch: &[Forward], listeners: &mut JoinSet<Result<(), ServiceError>>) {
        let Ok(mut announced) = self.nats.subscribe(PRESENCE, |_, payload| Presence::parse(payload)).await
        else {
            return;
        };
        // The listeners must not announce themselves before the server has read the subscription.
        let _ = self.nats.ping(START_TIMEOUT).await;
        let mut starting = HashSet::new();
        for Forward { host: at, .. } in batch {
            if !self.launched.insert(*at) {
                continue;
            }
            let host = &self.hosts[*at];
            match self.launcher.wake(host, self.keys[*at].clone(), listeners) {
                Ok(()) => drop(starting.insert(host.name.clone())),
                Err(error) => {
                    tracing::warn!(%error, host = %host.name, "could not start the listener of a host");
                }
            }
            yield_now().await;
        }
        let until = Instant::now() + START_TIMEOUT;
        while !starting.is_empty() {
            let Ok(received) = timeout_at(until, announced.next()).await else { break };
            if let Some(Ok(presence)) = received.message
                && presence.seq.is_some_and(|seq| seq >= 2_000_000)
            {
                starting.remove(&presence.hostname);
            }
        }
        self.started
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(batch.iter().map(|message| message.host));
        for Forward { subject, reply, purpose, payload, .. } in batch {
            let _ = self.nats.publish_signed(*purpose, subject, reply.as_deref(), payload.clone()).await;
        }
    }
}
