//! What this listener answers about its host and its jobs.

use super::{Config, hold};
use crate::activation::Engine;
use crate::jobs::{AtHand, Hold, Store};
use crate::protocol::{Action, Answer, Ask, DeployReport, HostAnswer, Id, JobAnswer, Want};
use std::collections::BTreeSet;
use std::sync::Arc;

/// All that an answer is made of.
pub(super) struct View<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a Store,
    pub(super) engine: &'a dyn Engine,
    pub(super) jobs: &'a AtHand,
    pub(super) running: Option<Arc<DeployReport>>,
    pub(super) hold: Option<&'a Hold>,
    pub(super) warnings: &'a BTreeSet<String>,
    /// The units that have failed, where the service manager was asked.
    pub(super) units: Option<&'a BTreeSet<String>>,
    /// The place of what is said among this host's messages.
    pub(super) seq: u64,
}

impl View<'_> {
    /// The answer to an ask.
    pub(super) fn answer(&self, ask: &Ask) -> Answer {
        match ask.wanted() {
            Want::Host => {
                let (want, id) = (ask.want.clone(), ask.id.clone());
                Answer::Host(Box::new(HostAnswer { want, id, ..self.host() }))
            }
            Want::Job => Answer::Job(JobAnswer {
                want: Want::Job,
                id: ask.id.clone(),
                hostname: self.config.hostname.clone(),
                report: self.job(ask.id.as_ref()),
            }),
            // As base listeners do with what they do not know.
            _ => Answer::Host(Box::new(self.host())),
        }
    }

    /// The host as it is now.
    pub(super) fn host(&self) -> HostAnswer {
        let config = self.config;
        let facts = self.engine.facts();
        // Going back and booting bring systems of older jobs.
        let deployed = self.jobs.deployed(facts.system.as_deref());
        let actions = hold::actions(self.engine);
        let subjects = config.deploy_subjects.clone();
        HostAnswer {
            seq: Some(self.seq),
            instance: Some(self.store.identity().instance.as_str().into()),
            version: Some(env!("CARGO_PKG_VERSION").into()),
            revision: deployed.and_then(|job| job.revision.clone()),
            commit: deployed.and_then(|job| job.commit.clone()),
            generation: facts.generation.or_else(|| deployed.and_then(|job| job.generation)),
            os_version: facts.os_version.map(Into::into),
            system: facts.system.map(Into::into),
            booted_system: facts.booted_system.map(Into::into),
            reboot_needed: facts.reboot_needed,
            failed_units: self.units.map_or(facts.failed_units, |units| units.iter().cloned().collect()),
            boot_at: facts.boot_at,
            nix_free_bytes: facts.nix_free_bytes,
            boot_free_bytes: facts.boot_free_bytes,
            flake_url: config.flake_url.as_deref().map(Into::into),
            warnings: self.warnings.iter().cloned().collect(),
            held: self.hold.map(Hold::to_string),
            job: self.job(None).map(without_diagnostics),
            capabilities: actions.into_iter().filter(|action| !Action::BASE.contains(action)).collect(),
            public_key: config.settings.seed.as_ref().map(|seed| seed.public_key().into()),
            trusted_keys: Some(
                config.trusted_keys.iter().map(|trusted| trusted.key.as_str().to_owned()).collect(),
            ),
            interval_s: Some(config.presence.as_secs()),
            ..HostAnswer::new(config.hostname.clone(), config.tier.clone(), config.role.clone(), subjects)
        }
    }

    /// The report of the job with this id, or of the running or else the newest one.
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

fn without_diagnostics(report: Arc<DeployReport>) -> Arc<DeployReport> {
    if report.diagnostics.is_none() {
        return report;
    }
    Arc::new(DeployReport { diagnostics: None, ..(*report).clone() })
}
