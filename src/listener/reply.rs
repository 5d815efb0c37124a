//! Replies of this listener about its host and its jobs.

use super::{ListenerConfig, hold};
use crate::activation::{Engine, free_bytes};
use crate::fleet::journal_cause;
use crate::jobs::{Hold, JobCache, JobStore};
use crate::protocol::{
    Action, DeployReport, EngineKind, Id, JobReply, Presence, Query, QueryKind, QueryReply,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The state that replies are built from.
pub(super) struct HostSnapshot<'a> {
    pub(super) config: &'a ListenerConfig,
    pub(super) store: &'a JobStore,
    pub(super) engine: &'a dyn Engine,
    pub(super) jobs: &'a JobCache,
    pub(super) running: Option<Arc<DeployReport>>,
    pub(super) hold: Option<&'a Hold>,
    pub(super) warnings: &'a BTreeSet<String>,
    /// Failed units, if the service manager has reported them.
    pub(super) units: Option<&'a BTreeSet<String>>,
    /// The sequence number of the reply.
    pub(super) seq: u64,
}

impl HostSnapshot<'_> {
    /// The reply to a query.
    pub(super) fn reply(&self, query: &Query) -> QueryReply {
        match query.kind() {
            QueryKind::Host => {
                let (query, id) = (query.query.clone(), query.id.clone());
                QueryReply::Host(Box::new(Presence { query, id, ..self.host() }))
            }
            QueryKind::Job => QueryReply::Job(JobReply {
                query: QueryKind::Job,
                id: query.id.clone(),
                hostname: self.config.hostname.clone(),
                report: self.job(query.id.as_ref()),
            }),
            // Base listeners also reply this way to unknown queries.
            _ => QueryReply::Host(Box::new(self.host())),
        }
    }

    /// The current presence of the host.
    pub(super) fn host(&self) -> Presence {
        let config = self.config;
        let facts = self.engine.facts();
        // After a rollback or reboot an older job's system may run.
        let deployed = self.jobs.deployed(facts.system.as_deref());
        let kind = self.engine.kind();
        let mut capabilities = hold::actions(self.engine);
        capabilities.retain(|action| !Action::BASE.contains(action));
        if kind == Some(EngineKind::Compose) {
            capabilities.push(Action::from(Presence::SERVICES));
        }
        let subjects = config.deploy_subjects.clone();
        Presence {
            seq: Some(self.seq),
            instance: Some(self.store.dir.identity().instance.as_str().into()),
            version: Some(env!("CARGO_PKG_VERSION").into()),
            revision: deployed.and_then(|job| job.revision.clone()),
            commit: deployed.and_then(|job| job.commit.clone()),
            generation: facts.generation.or_else(|| deployed.and_then(|job| job.generation)),
            os_version: facts.os_version.map(Into::into),
            system: facts.system.map(Into::into),
            booted_system: facts.booted_system.map(Into::into),
            reboot_needed: facts.reboot_needed,
            failed_units: self.units.map_or(facts.failed_units, |units| units.iter().cloned().collect()),
            booted_at: facts.booted_at,
            nix_free_bytes: facts.nix_free_bytes,
            boot_free_bytes: facts.boot_free_bytes,
            state_free_bytes: free_bytes(&config.state_dir),
            flake_url: config.flake_url.as_deref().map(Into::into),
            warnings: self.warnings.iter().cloned().collect(),
            held: self.hold.map(Hold::to_string),
            deployed_at: deployed.and_then(|job| job.at),
            last_change: self.last_change().map(strip_diagnostics),
            job: self.job(None).map(strip_diagnostics),
            engine: kind,
            components: self.engine.components(),
            capabilities,
            public_key: config.settings.nkey.as_ref().map(|seed| seed.public_key().into()),
            trusted_keys: Some(
                config.trusted_keys.iter().map(|trusted| trusted.key.as_str().to_owned()).collect(),
            ),
            interval_s: Some(config.presence.as_secs()),
            ..Presence::new(config.hostname.clone(), config.tier.clone(), config.role.clone(), subjects)
        }
    }

    /// The last job that decides the state of the host, unless it is the newest one.
    fn last_change(&self) -> Option<Arc<DeployReport>> {
        let newest = self.job(None)?;
        self.jobs.last_change().filter(|change| change.id != newest.id)
    }

    /// The report of the job with this id, by default of the running or newest one.
    pub(super) fn job(&self, id: Option<&Id>) -> Option<Arc<DeployReport>> {
        let running = self.running.as_ref();
        match id {
            Some(id) => match running.filter(|report| report.id.as_ref() == Some(id)) {
                Some(report) => Some(report.clone()),
                None => self.jobs.report(id),
            },
            None => running.cloned().or_else(|| self.jobs.newest()),
        }
    }
}

/// The report without its diagnostics, but with their most important line.
fn strip_diagnostics(report: Arc<DeployReport>) -> Arc<DeployReport> {
    if report.diagnostics.is_none() {
        return report;
    }
    let cause = report.diagnostics.as_deref().and_then(journal_cause);
    Arc::new(DeployReport { diagnostics: None, cause, ..(*report).clone() })
}
