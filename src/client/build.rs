//! Sends build requests to the builder and follows each build to its result.

use super::operator::fresh_id;
use super::{DeployError, Operator, ResultKind};
use crate::fleet::{Fleet, FleetBuild};
use crate::nats::{Client, ConnectionState, NatsError, PermissionViolation, Subscription};
use crate::protocol::{
    BUILD_REPORTS, BuildReport, BuildRequest, BuildStatus, Id, Name, Purpose, REQUEST_LIFETIME, Revision,
    WireError, build_report_subject, build_subject,
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep_until};

/// Maximum time for the builder to acknowledge a request.
const SILENCE: Duration = Duration::from_secs(5);
/// Time without a report after which the builder is asked for the state of a build.
const QUERY_AFTER: Duration = Duration::from_mins(1);

/// A request to the builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSpec {
    /// Name of the repository; `None` for the builder's default one.
    pub repo: Option<Name>,
    /// Hosts to build; empty for all.
    pub hosts: Vec<Name>,
    /// Branch, tag or full commit; `None` for the repository's default branch.
    pub branch: Option<Revision>,
}

/// One request to the builder that is being followed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PendingBuild {
    id: Id,
    target: String,
    /// When it was sent or last reported, whichever is later.
    last: Instant,
    /// Whether no builder accepted it.
    given_up: bool,
    /// Whether a note about the missing builder was already emitted.
    absence_noted: bool,
}

/// An event of a followed build.
#[derive(Debug, Clone, PartialEq)]
pub enum BuildEvent {
    /// The builder sent a new report.
    Report(Arc<BuildReport>),
    /// A message for the operator.
    Note(String),
}

/// How one request to the builder ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildResult {
    /// A host, or `all`.
    pub target: String,
    /// How the build ended, or `silent` if no builder answered.
    pub result: ResultKind,
    /// The last report, if there was any.
    pub report: Option<Arc<BuildReport>>,
}

/// How all builds ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BuildSummary {
    /// The builds in the order of their requests.
    pub builds: Vec<BuildResult>,
}

impl BuildSummary {
    /// The exit code; the first that applies: 1 failed, 4 timed out, 3 silent, 0 completed.
    pub fn exit_code(&self) -> u8 {
        ResultKind::exit_code(self.builds.iter().map(|build| build.result))
    }
}

/// Follows requested builds to their results.
pub struct BuildFollower {
    nats: Client,
    spec: BuildSpec,
    issuer: String,
    requests: Vec<PendingBuild>,
    fleet: Fleet,
    reports: Subscription<Result<BuildReport, WireError>>,
    violations: broadcast::Receiver<PermissionViolation>,
    connection: watch::Receiver<ConnectionState>,
    connects: u64,
    deadline: Instant,
    /// Number of our messages that no builder received.
    no_responders: usize,
    pending: VecDeque<BuildEvent>,
}

impl BuildFollower {
    /// Sends build requests after the server has answered a ping. The builds are followed for `follow_timeout`.
    pub async fn send(
        operator: &Operator,
        spec: BuildSpec,
        follow_timeout: Duration,
    ) -> Result<Self, DeployError> {
        let violations = operator.nats.permission_violations();
        let subscription = operator.nats.subscribe(BUILD_REPORTS, |_, payload| BuildReport::parse(payload));
        let reports = operator.subscribed(subscription).await?;
        let connection = operator.nats.connection_state();
        let connects = connection.borrow().connects;
        let now = Instant::now();
        let request = |target: String| PendingBuild {
            id: fresh_id(),
            target,
            last: now,
            given_up: false,
            absence_noted: false,
        };
        let requests = match &spec.hosts[..] {
            [] => vec![request("all".to_owned())],
            hosts => hosts.iter().map(|host| request(host.to_string())).collect(),
        };
        let mut follow = Self {
            nats: operator.nats.clone(),
            spec,
            issuer: operator.issuer.clone(),
            requests,
            fleet: Fleet::default(),
            reports,
            violations,
            connection,
            connects,
            deadline: now + follow_timeout,
            no_responders: 0,
            pending: VecDeque::new(),
        };
        for at in 0..follow.requests.len() {
            follow.send_request(at).await?;
        }
        Ok(follow)
    }

    /// The next event; `None` once every build has a result or is given up, or after the timeout.
    pub async fn next(&mut self) -> Option<Result<BuildEvent, DeployError>> {
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
                Ok(violation) = self.violations.recv() => self.on_violation(violation),
                received = self.reports.next() => {
                    match received.message {
                        Some(Ok(report)) => self.on_report(&received.subject, report),
                        Some(Err(error)) => {
                            self.pending.push_back(BuildEvent::Note(format!("ignored an unreadable message: {error}")));
                        }
                        None => self.on_no_responders(),
                    }
                    Ok(())
                }
                Ok(()) = self.connection.changed() => self.on_connection().await,
                () = sleep_until(overdue) => self.query_overdue().await,
                () = sleep_until(self.deadline) => return None,
            };
            if let Err(error) = step {
                return Some(Err(error));
            }
        }
    }

    /// The current state of the builds; final once [`BuildFollower::next`] has returned `None`.
    pub fn summary(&self) -> BuildSummary {
        let builds = self.requests.iter().map(|request| {
            let report = self.fleet.build(&request.id).map(|build| build.report.clone());
            let result = report.as_deref().map_or(ResultKind::Silent, |report| match report.status {
                BuildStatus::Completed => ResultKind::Completed,
                BuildStatus::Failed => ResultKind::Failed,
                BuildStatus::Rejected => ResultKind::Rejected,
                _ => ResultKind::Unknown,
            });
            BuildResult { target: request.target.clone(), result, report }
        });
        BuildSummary { builds: builds.collect() }
    }

    fn is_settled(&self, request: &PendingBuild) -> bool {
        self.fleet.build(&request.id).map_or(request.given_up, FleetBuild::is_finished)
    }

    /// When the builder must be asked about the first silent build.
    fn overdue(&self) -> Instant {
        let open = self.requests.iter().filter(|request| !self.is_settled(request));
        open.filter_map(|request| self.due(request)).min().unwrap_or(self.deadline)
    }

    /// When the builder must be asked about a build. `None` for a running build of a base builder, because it would
    /// treat the question as a new request.
    fn due(&self, request: &PendingBuild) -> Option<Instant> {
        match self.fleet.build(&request.id) {
            None => Some(request.last + SILENCE),
            Some(build) => build.report.seq.map(|_| request.last + QUERY_AFTER),
        }
    }

    /// Asks about builds without recent reports by sending the same request again: the builder replies with the state
    /// of the known job. A request that no builder accepted is given up.
    async fn query_overdue(&mut self) -> Result<(), DeployError> {
        let now = Instant::now();
        for at in 0..self.requests.len() {
            let request = &self.requests[at];
            if self.is_settled(request) || self.due(request).is_none_or(|due| now < due) {
                continue;
            }
            let is_known = self.fleet.build(&request.id).is_some();
            self.requests[at].last = now;
            if is_known {
                self.send_if_up(at).await?;
            } else {
                self.requests[at].given_up = true;
            }
        }
        Ok(())
    }

    async fn on_connection(&mut self) -> Result<(), DeployError> {
        let connection = self.connection.borrow_and_update().clone();
        if connection.up && connection.connects != self.connects {
            self.connects = connection.connects;
            self.pending.push_back(BuildEvent::Note("reconnected; asking for the current state".to_owned()));
            for at in 0..self.requests.len() {
                let request = &self.requests[at];
                if !self.is_settled(request) && self.due(request).is_some() {
                    self.send_if_up(at).await?;
                }
            }
        } else if !connection.up && connection.connects == self.connects {
            let note = "connection lost; the builder continues".to_owned();
            self.pending.push_back(BuildEvent::Note(note));
        }
        Ok(())
    }

    async fn send_if_up(&mut self, at: usize) -> Result<(), DeployError> {
        match self.send_request(at).await {
            // The request is sent again after the reconnect.
            Err(DeployError::Nats(NatsError::Disconnected { .. })) => Ok(()),
            other => other,
        }
    }

    async fn send_request(&mut self, at: usize) -> Result<(), DeployError> {
        let (request, spec) = (&self.requests[at], &self.spec);
        let (id, repo) = (request.id.clone(), spec.repo.as_ref());
        let body = request_of(id, &request.target, repo, spec.branch.as_ref(), &self.issuer);
        let subject = build_subject(self.spec.repo.as_ref(), &request.target);
        let reply = Some(body.reply_to.as_str());
        Ok(self.nats.publish_signed(Purpose::Build, &subject, reply, body.encode()).await?)
    }

    /// Handles the server's notice that one of our messages has no subscriber.
    fn on_no_responders(&mut self) {
        self.no_responders += 1;
        if self.no_responders >= self.requests.len() {
            for request in &mut self.requests {
                request.given_up = true;
            }
        }
        let open = self
            .requests
            .iter()
            .filter(|request| self.fleet.build(&request.id).is_some_and(|build| !build.is_finished()));
        if open.clone().any(|request| !request.absence_noted) {
            let note = "no builder is running at the moment; a builder resumes its builds when it restarts"
                .to_owned();
            self.pending.push_back(BuildEvent::Note(note));
        }
        for request in &mut self.requests {
            request.absence_noted = true;
        }
    }

    fn on_violation(&mut self, violation: PermissionViolation) -> Result<(), DeployError> {
        let ours = |request: &PendingBuild| {
            build_subject(self.spec.repo.as_ref(), &request.target) == violation.subject
        };
        if violation.subject == BUILD_REPORTS || self.requests.iter().any(ours) {
            return Err(NatsError::PermissionViolation(violation).into());
        }
        self.pending.push_back(BuildEvent::Note(violation.to_string()));
        Ok(())
    }

    fn on_report(&mut self, subject: &str, report: BuildReport) {
        let Some(id) = report.id_on(subject) else { return };
        let Some(request) = self.requests.iter_mut().find(|request| request.id == id) else { return };
        (request.last, request.absence_noted) = (Instant::now(), false);
        let report = Arc::new(BuildReport { id: Some(id.clone()), ..report });
        if self.fleet.apply_build(&id, report.clone(), Timestamp::now()) {
            self.pending.push_back(BuildEvent::Report(report));
        }
    }
}

/// A request to the builder that expires if its build does not start within a minute.
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
        reply_to: build_report_subject(&id),
        id: Some(id),
        issued_at: Some(now),
        expires_at: now.checked_add(REQUEST_LIFETIME).ok(),
        issuer: Some(issuer.to_owned()),
    }
}
