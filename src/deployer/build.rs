//! Asks the builder to build, and follows every build to its verdict.

use super::operator::fresh_id;
use super::plan::EXPIRY;
use super::{DeployError, Operator, Verdict};
use crate::bus::{Bus, Link, LinkError, Refusal, Subscription};
use crate::fleet::{Build, Fleet};
use crate::protocol::{
    BUILD_REPORTS, BuildReport, BuildRequest, BuildStatus, Id, Name, Purpose, Revision, WireError, of_build,
    of_build_report,
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};

/// How long the server may take to answer a ping before anything is sent.
const PING: Duration = Duration::from_secs(3);
/// How long the builder may take to say that it has the request.
const SILENCE: Duration = Duration::from_secs(5);
/// After this long without a word it is asked how a build stands.
const ASK_AGAIN: Duration = Duration::from_mins(1);

/// What the builder is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildWish {
    /// The repository; without, the builder's default one.
    pub repo: Option<Name>,
    /// Hosts; none means all.
    pub hosts: Vec<Name>,
    /// Branch, tag or full commit; without, the repository's default branch.
    pub branch: Option<Revision>,
}

/// One request to the builder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    id: Id,
    target: String,
    /// When it was sent, or the builder was last heard of it.
    last: Instant,
    /// Whether nobody took it.
    given_up: bool,
    /// Whether it was told that the builder is away.
    missed: bool,
}

/// News of builds.
#[derive(Debug, Clone, PartialEq)]
pub enum BuildUpdate {
    /// The builder reported something new.
    Report(Arc<BuildReport>),
    /// Something to know, in a sentence.
    Note(String),
}

/// How one request to the builder ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildResult {
    /// A host, or `all`.
    pub target: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Its last report.
    pub report: Option<Arc<BuildReport>>,
}

/// How builds ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildOutcome {
    /// Each request, in the order in which it was made.
    pub builds: Vec<BuildResult>,
}

impl BuildOutcome {
    /// The exit code: the first that applies of 1 failed, 4 out of time, 3 silent, 0.
    pub fn exit_code(&self) -> u8 {
        Verdict::exit_code(self.builds.iter().map(|build| build.verdict))
    }
}

/// Builds that were asked for.
pub struct BuildFollow {
    bus: Bus,
    wish: BuildWish,
    issuer: String,
    requests: Vec<Request>,
    fleet: Fleet,
    reports: Subscription<Result<BuildReport, WireError>>,
    refusals: broadcast::Receiver<Refusal>,
    link: watch::Receiver<Link>,
    connects: u64,
    deadline: Instant,
    /// How many of our messages nobody took.
    untaken: usize,
    pending: VecDeque<BuildUpdate>,
}

impl Operator {
    /// Asks the builder, once the server has just answered a ping. The builds are followed for `patience`.
    pub async fn build(&self, wish: BuildWish, patience: Duration) -> Result<BuildFollow, DeployError> {
        let refusals = self.bus.refusals();
        let reports = self.bus.subscribe(BUILD_REPORTS, |_, payload| BuildReport::parse(payload)).await?;
        self.bus.reach(PING).await?;
        let link = self.bus.link();
        let connects = link.borrow().connects;
        let now = Instant::now();
        let request =
            |target: String| Request { id: fresh_id(), target, last: now, given_up: false, missed: false };
        let requests = match &wish.hosts[..] {
            [] => vec![request("all".to_owned())],
            hosts => hosts.iter().map(|host| request(host.to_string())).collect(),
        };
        let mut follow = BuildFollow {
            bus: self.bus.clone(),
            wish,
            issuer: self.issuer.clone(),
            requests,
            fleet: Fleet::default(),
            reports,
            refusals,
            link,
            connects,
            deadline: now + patience,
            untaken: 0,
            pending: VecDeque::new(),
        };
        for at in 0..follow.requests.len() {
            follow.send(at).await?;
        }
        Ok(follow)
    }
}

impl BuildFollow {
    /// The next news; `None` once every build has its verdict or is given up, or the time is over.
    pub async fn next(&mut self) -> Option<Result<BuildUpdate, DeployError>> {
        loop {
            if let Some(update) = self.pending.pop_front() {
                return Some(Ok(update));
            }
            if self.requests.iter().all(|request| self.is_settled(request)) {
                return None;
            }
            let overdue = self.overdue();
            let step = tokio::select! {
                biased;
                Ok(refusal) = self.refusals.recv() => self.on_refusal(refusal),
                received = self.reports.next() => {
                    match received.message {
                        Some(Ok(report)) => self.on_report(&received.subject, report),
                        Some(Err(error)) => {
                            self.pending.push_back(BuildUpdate::Note(format!("a message could not be read: {error}")));
                        }
                        None => self.on_nobody(),
                    }
                    Ok(())
                }
                Ok(()) = self.link.changed() => self.on_link().await,
                () = sleep_until(overdue) => self.ask().await,
                () = sleep_until(self.deadline) => return None,
            };
            if let Err(error) = step {
                return Some(Err(error));
            }
        }
    }

    /// How the builds stand; once [`BuildFollow::next`] has given `None`, how they ended.
    pub fn outcome(&self) -> BuildOutcome {
        let builds = self.requests.iter().map(|request| {
            let report = self.fleet.build(&request.id).map(|build| build.report.clone());
            let verdict = report.as_deref().map_or(Verdict::Silent, |report| match report.status {
                BuildStatus::Completed => Verdict::Completed,
                BuildStatus::Failed => Verdict::Failed,
                BuildStatus::Rejected => Verdict::Rejected,
                _ => Verdict::Unknown,
            });
            BuildResult { target: request.target.clone(), verdict, report }
        });
        BuildOutcome { builds: builds.collect() }
    }

    fn is_settled(&self, request: &Request) -> bool {
        self.fleet.build(&request.id).map_or(request.given_up, Build::is_over)
    }

    /// When the builder is to be asked about the first of those that it says nothing of.
    fn overdue(&self) -> Instant {
        let open = self.requests.iter().filter(|request| !self.is_settled(request));
        open.filter_map(|request| self.due(request)).min().unwrap_or(self.deadline)
    }

    /// When the builder is to be asked about it; a base builder never once it has begun, for it would begin once more.
    fn due(&self, request: &Request) -> Option<Instant> {
        match self.fleet.build(&request.id) {
            None => Some(request.last + SILENCE),
            Some(build) => build.report.seq.map(|_| request.last + ASK_AGAIN),
        }
    }

    /// Asks about builds that nothing was heard of for long: the same request again begins nothing, but is told how it
    /// stands. One that nobody ever took is given up.
    async fn ask(&mut self) -> Result<(), DeployError> {
        let now = Instant::now();
        for at in 0..self.requests.len() {
            let request = &self.requests[at];
            if self.is_settled(request) || self.due(request).is_none_or(|due| now < due) {
                continue;
            }
            let heard = self.fleet.build(&request.id).is_some();
            self.requests[at].last = now;
            if heard {
                self.send_if_up(at).await?;
            } else {
                self.requests[at].given_up = true;
            }
        }
        Ok(())
    }

    async fn on_link(&mut self) -> Result<(), DeployError> {
        let link = self.link.borrow_and_update().clone();
        if link.up && link.connects != self.connects {
            self.connects = link.connects;
            self.pending
                .push_back(BuildUpdate::Note("connected again; asking what happened meanwhile".to_owned()));
            for at in 0..self.requests.len() {
                let request = &self.requests[at];
                if !self.is_settled(request) && self.due(request).is_some() {
                    self.send_if_up(at).await?;
                }
            }
        } else if !link.up && link.connects == self.connects {
            let note = "the connection was lost; what the builder builds goes on".to_owned();
            self.pending.push_back(BuildUpdate::Note(note));
        }
        Ok(())
    }

    async fn send_if_up(&mut self, at: usize) -> Result<(), DeployError> {
        match self.send(at).await {
            // Coming back asks again.
            Err(DeployError::Link(LinkError::Down { .. })) => Ok(()),
            other => other,
        }
    }

    async fn send(&mut self, at: usize) -> Result<(), DeployError> {
        let (request, wish) = (&self.requests[at], &self.wish);
        let (id, repo) = (request.id.clone(), wish.repo.as_ref());
        let body = request_of(id, &request.target, repo, wish.branch.as_ref(), &self.issuer);
        let subject = of_build(self.wish.repo.as_ref(), &request.target);
        let reply = Some(body.reply_to.as_str());
        Ok(self.bus.publish_signed(Purpose::Build, &subject, reply, body.encode()).await?)
    }

    /// The server says of one of our messages that nobody listens there.
    fn on_nobody(&mut self) {
        self.untaken += 1;
        if self.untaken >= self.requests.len() {
            for request in &mut self.requests {
                request.given_up = true;
            }
        }
        let open = self
            .requests
            .iter()
            .filter(|request| self.fleet.build(&request.id).is_some_and(|build| !build.is_over()));
        if open.clone().any(|request| !request.missed) {
            let note =
                "no builder is there at the moment; one that comes back goes on with what it has begun"
                    .to_owned();
            self.pending.push_back(BuildUpdate::Note(note));
        }
        for request in &mut self.requests {
            request.missed = true;
        }
    }

    fn on_refusal(&mut self, refusal: Refusal) -> Result<(), DeployError> {
        let ours = |request: &Request| of_build(self.wish.repo.as_ref(), &request.target) == refusal.subject;
        if refusal.subject == BUILD_REPORTS || self.requests.iter().any(ours) {
            return Err(LinkError::Refused(refusal).into());
        }
        self.pending.push_back(BuildUpdate::Note(refusal.to_string()));
        Ok(())
    }

    fn on_report(&mut self, subject: &str, report: BuildReport) {
        let Some(id) = report.id_on(subject) else { return };
        let Some(request) = self.requests.iter_mut().find(|request| request.id == id) else { return };
        (request.last, request.missed) = (Instant::now(), false);
        let report = Arc::new(BuildReport { id: Some(id.clone()), ..report });
        if self.fleet.apply_build(&id, report.clone(), Timestamp::now()) {
            self.pending.push_back(BuildUpdate::Report(report));
        }
    }
}

/// A request to the builder that begins within a minute from now or never.
pub(super) fn request_of(
    id: Id,
    target: &str,
    repo: Option<&Name>,
    branch: Option<&Revision>,
    issuer: &str,
) -> BuildRequest {
    let now = Timestamp::now();
    BuildRequest {
        target: target.to_owned(),
        repo: repo.cloned(),
        branch: branch.cloned(),
        reply_to: of_build_report(&id),
        id: Some(id),
        issued_at: Some(now),
        expires_at: now.checked_add(EXPIRY).ok(),
        issuer: Some(issuer.to_owned()),
    }
}
