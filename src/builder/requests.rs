//! Acts on requests and on what becomes of them: each gets exactly one verdict.

use super::admission::admit;
use super::build::{Build, Built};
use super::inbox::{Asked, BadRequest, TAKER, reply_id};
use super::lane::Lane;
use super::order::Order;
use super::record::Record;
use super::report;
use super::service::Service;
use super::stage::{End, Stage};
use crate::jobs::now;
use crate::keys::{Refused, bounded, near};
use crate::nix::{Deployed, Locked, resolve};
use crate::protocol::{BuildReport, BuildStatus, ErrorCode, Id, Name, PublicKey};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long a remote may take to say what a branch is at.
const LOOK_UP: Duration = Duration::from_mins(2);

/// Kinds of lines that anyone who may send requests can cause.
const REFUSED: &str = "refused a request";
const UNANSWERABLE: &str = "a request named no place to answer to";
/// How many lines of each kind are logged in ten seconds: more than people and scripts cause.
const MOST_REFUSED: u32 = 20;

/// What a branch of an order is at, or why that is not known.
pub(super) struct Resolved {
    repo: Name,
    id: Id,
    locked: Result<Locked, (ErrorCode, String)>,
}

/// Whether a request may be acted on: anyone's if no key is trusted, else what one of the keys has signed and is of use for a few
/// minutes only. It is not used twice: the record of its id is kept for longer.
fn permitted(asked: &Asked) -> Result<Option<PublicKey>, Refused> {
    let Some(key) = asked.signer.clone()? else { return Ok(None) };
    let expires_at = bounded(asked.request.issued_at, asked.request.expires_at)?;
    near(expires_at, now())?;
    Ok(Some(key))
}

impl Service {
    /// Takes a request, or refuses it.
    pub(super) async fn on_request(&mut self, asked: Asked) {
        // Both were read from the request or from its reply subject.
        let Some(reply_to) = reply_id(&asked.request.reply_to) else { return };
        let id = asked.request.id.clone().unwrap_or_else(|| reply_to.clone());
        if let Some(report) = self.present(&id) {
            let _ = self.reporter.send(&reply_to, &report).await;
            return;
        }
        let key = match permitted(&asked) {
            Ok(key) => key,
            Err(refused) => {
                let message = refused.message(TAKER, &asked.subject);
                return self.reject(&asked, id, reply_to, refused.code(), message).await;
            }
        };
        let open = self.lanes.values().flat_map(Lane::orders).count();
        let admitted = admit(&asked, &self.rules, open, now());
        let (repo, branch) = match admitted {
            Ok(admitted) => admitted,
            Err((code, message)) => return self.reject(&asked, id, reply_to, code, message).await,
        };
        let request = asked.request;
        let target = request.target;
        let mut record = Record {
            report: BuildReport::new(target.as_str(), BuildStatus::Started, ""),
            id,
            reply_to,
            repo,
            target,
            branch,
            issuer: request.issuer,
            accepted_at: now(),
            commit: None,
            ended_at: None,
            told: false,
        };
        let message = format!("looks up {} in {}", record.branch, record.repo);
        record.report = report::plain(&record, BuildStatus::Started, message);
        self.reporter.stamp(&mut record.report);
        let (id, issuer) = (record.id.clone(), record.issuer.as_deref());
        let key = key.as_ref().map(PublicKey::as_str);
        tracing::info!(%id, repo = %record.repo, target = record.target, branch = %record.branch, issuer, key,
            "accepted a build");
        if let Err(why) = self.save(&record).await {
            tracing::error!(%id, reason = why, "could not keep the record of a build");
            let mut report = report::failed(&record, ErrorCode::Unhealthy, why);
            report.status = BuildStatus::Rejected;
            self.reporter.stamp(&mut report);
            let _ = self.reporter.send(&record.reply_to, &report).await;
            return;
        }
        let _ = self.reporter.send(&record.reply_to, &record.report).await;
        self.line_up(Order::new(record));
    }

    /// Refuses what could not be read as a request, on the reply subject of the message where it names none itself.
    pub(super) async fn on_bad_request(&mut self, bad: &BadRequest, reply: Option<&str>) {
        let Some(to) = bad.reply_to.clone().or_else(|| reply.and_then(reply_id)) else {
            self.unanswerable += 1;
            let count = self.unanswerable;
            if self.log_fold.allows(UNANSWERABLE, MOST_REFUSED) {
                tracing::warn!(code = %bad.code, reason = bad.message, count, "{UNANSWERABLE}");
            }
            return;
        };
        if self.log_fold.allows(REFUSED, MOST_REFUSED) {
            tracing::info!(id = %to, code = %bad.code, reason = bad.message, "{REFUSED}");
        }
        let _ = self.reporter.send(&to, &self.reporter.refusal(bad)).await;
    }

    async fn reject(&mut self, asked: &Asked, id: Id, to: Id, code: ErrorCode, message: String) {
        if self.log_fold.allows(REFUSED, MOST_REFUSED) {
            tracing::info!(%id, %code, reason = message, "{REFUSED}");
        }
        let target = asked.request.target.clone();
        let mut report = self.reporter.refusal(&BadRequest {
            code,
            message,
            target,
            id: Some(id),
            reply_to: Some(to.clone()),
        });
        report.repo = asked.repo.clone().or_else(|| asked.request.repo.clone());
        let _ = self.reporter.send(&to, &report).await;
    }

    /// The present report of an order, open or ended.
    fn present(&self, id: &Id) -> Option<BuildReport> {
        let open = self.lanes.values().flat_map(Lane::orders).find(|order| order.id() == id);
        open.map(|order| order.report().clone()).or_else(|| self.store.record(id).map(|record| record.report))
    }

    /// Puts an order into the line of its repository, and looks up what its branch is at.
    pub(super) fn line_up(&mut self, order: Order) {
        let Some(known) = self.rules.repos.get(order.repo()).cloned() else { return };
        let (repo, id) = (order.repo().clone(), order.id().clone());
        let (branch, commit) = (order.record.branch.clone(), order.record.commit.clone());
        let looking = self.looking.clone();
        let policy = self.store.commits(&repo);
        let history = self.histories.get(&repo).cloned().unwrap_or_default();
        self.resolving.spawn(async move {
            // It is never closed.
            let _place = looking.acquire_owned().await;
            let look = async {
                if !branch.is_commit() {
                    return resolve(&known.url, &branch, commit.as_deref()).await;
                }
                let _alone = history.lock().await;
                let any = Deployed { allow_older: true, ..Deployed::default() };
                policy.resolve(&known.url, &branch, commit.as_deref(), &any).await
            };
            let answer = timeout(LOOK_UP, look).await;
            let locked = match answer {
                Ok(Ok(locked)) => Ok(locked),
                Ok(Err(error)) => Err((error.code(), error.to_string())),
                Err(_) => {
                    let flake = known.url.without_credentials();
                    let why =
                        format!("{flake} did not say what {branch} is at within {} s", LOOK_UP.as_secs());
                    Err((ErrorCode::Timeout, why))
                }
            };
            Resolved { repo, id, locked }
        });
        self.lanes.entry(order.repo().clone()).or_default().add(order);
    }

    /// It is known which commit an order means.
    pub(super) async fn on_resolved(&mut self, Resolved { repo, id, locked }: Resolved) {
        let Some(lane) = self.lanes.get_mut(&repo) else { return };
        let locked = match locked {
            Ok(locked) => locked,
            Err((code, why)) => {
                if let Some(order) = lane.remove(&id) {
                    let report = report::failed(&order.record, code, why);
                    self.conclude(order.record, report).await;
                }
                return self.begin(&repo);
            }
        };
        let before = lane.running.as_ref().map(|running| running.wanted.clone());
        let Some(order) = lane.lock(&id, locked) else { return };
        let message = match &before {
            None => "begins to build".to_owned(),
            Some(wanted) => format!("waits for the build of {} at {}", wanted.target, wanted.commit),
        };
        self.reporter.change(&mut order.record, &message);
        let record = order.record.clone();
        if let Err(error) = self.save(&record).await {
            // After a restart the branch is looked up once more.
            tracing::warn!(%id, error, "could not keep the commit of a build");
        }
        let _ = self.reporter.send(&record.reply_to, &record.report).await;
        let running = self.lanes.get(&repo).and_then(|lane| lane.running.as_ref());
        if let Some(running) = running.filter(|running| running.orders.iter().any(|order| *order.id() == id))
        {
            // It has joined: told as that build stands.
            let stage = running.stage.clone();
            self.on_stage(&repo, stage, Some(&id)).await;
        }
        self.begin(&repo);
    }

    /// Begins what is next in a repository.
    fn begin(&mut self, repo: &Name) {
        let Some(known) = self.rules.repos.get(repo) else { return };
        let Some(running) = self.lanes.get_mut(repo).and_then(Lane::begin) else { return };
        let Some(order) = running.orders.first() else { return };
        let Some(locked) = order.locked.clone() else { return };
        tracing::info!(id = %order.id(), %repo, target = order.record.target, commit = running.wanted.commit,
            "begins to build");
        let build = Build {
            name: repo.clone(),
            repo: known.clone(),
            is_default: order.record.branch == known.branch,
            locked,
            wanted: running.wanted.clone(),
            rules: self.rules.clone(),
            engine: self.engine.clone(),
            store: self.store.clone(),
            slots: self.slots.clone(),
            stop: self.stop.clone(),
        };
        let (news, repo) = (self.news.clone(), repo.clone());
        self.builds.spawn(async move {
            let came_to = tokio::spawn(build.run(news)).await.unwrap_or_else(|error| {
                let message = format!("the task of the build died: {error}");
                let end = Some(End { error: Some(ErrorCode::Internal), message });
                Some((Stage { end, ..Stage::default() }, std::collections::BTreeSet::new()))
            });
            (repo, came_to)
        });
    }

    /// A build stands so: told to all who wait for it, or to one of them; some may have their verdict.
    pub(super) async fn on_stage(&mut self, repo: &Name, stage: Stage, only: Option<&Id>) {
        let Some(running) = self.lanes.get_mut(repo).and_then(|lane| lane.running.as_mut()) else { return };
        running.stage = stage;
        let mut ended = Vec::new();
        let all = running.orders.iter_mut().enumerate();
        for (at, order) in all.filter(|(_, order)| only.is_none_or(|id| id == order.id())) {
            let mut report = report::of_stage(&order.record, &running.stage);
            // Whose build it is has its verdict when all of it has ended.
            if report.status.is_final() && at > 0 {
                ended.push((at, report));
                continue;
            }
            self.reporter.stamp(&mut report);
            let _ = self.reporter.send(&order.record.reply_to, &report).await;
            order.record.report = report;
        }
        let mut concluded = Vec::new();
        for (at, report) in ended.into_iter().rev() {
            concluded.push((running.orders.remove(at), report));
        }
        for (order, report) in concluded {
            self.conclude(order.record, report).await;
        }
    }

    /// A build has ended.
    pub(super) async fn on_built(&mut self, repo: &Name, built: Option<Built>) {
        // Where the builder was stopped meanwhile, the next start goes on.
        let Some(built) = built else { return };
        let Some(running) = self.lanes.get_mut(repo).and_then(|lane| lane.running.take()) else { return };
        let leader = running.orders.first().map(|order| order.id().clone());
        if let Some((metrics, id)) = self.metrics.clone().zip(leader.clone()) {
            let (repo, built, wanted) = (repo.clone(), built.clone(), running.wanted.clone());
            let _ = spawn_blocking(move || metrics.count(&id, &repo, &wanted, &built)).await;
        }
        // Whose build it is comes last: as long as it is open, nothing is counted again.
        for order in running.orders.into_iter().rev() {
            let report = report::of_stage(&order.record, &built.0);
            self.conclude(order.record, report).await;
        }
        if let Some(metrics) = &self.metrics {
            metrics.noted(|id| Some(id) != leader.as_ref());
        }
        self.begin(repo);
    }

    async fn save(&self, record: &Record) -> Result<(), String> {
        let (store, record) = (self.store.clone(), record.clone());
        match spawn_blocking(move || store.save(&record)).await {
            Ok(saved) => saved.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}
