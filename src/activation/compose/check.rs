//! Check: the files, the configuration, the exposure and the ports of each service.

use super::prepare::ComposePlan;
use super::run::ComposeRun;
use crate::activation::JobFailure;
use crate::compose::{EnvFile, ExposureIssue, ExposurePolicy, ProjectConfig, judge_exposure, port_conflicts};
use crate::protocol::{ErrorCode, PhaseName};
use std::fs::File;

/// What the check has found.
#[derive(Default)]
struct CheckFindings {
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl ComposeRun {
    pub(super) async fn check(&self, plan: &mut ComposePlan) -> Result<(), JobFailure> {
        self.enter("validate", PhaseName::Check).await;
        let mut report = CheckFindings::default();
        report.warnings.append(&mut plan.warnings);
        let mut configs: Vec<(&str, &ProjectConfig)> = Vec::new();
        for service in &plan.assigned {
            let name = &service.name;
            let is_selected = plan.services.iter().any(|selected| selected.name == *name);
            let before = report.problems.len();
            let Some(config) = self.check_service(plan, name, &mut report) else {
                // Another service's problem does not concern a job that is not about it.
                if !is_selected {
                    report.warnings.extend(report.problems.drain(before..));
                }
                continue;
            };
            if is_selected {
                self.check_exposure(plan, service, config, &mut report);
                let unkept = config.services.iter().filter(|(_, config)| !config.has_restart_policy());
                for (container, _) in unkept {
                    report.warnings.push(format!(
                        "{name} ({container}) has no restart policy, so it stays down after a reboot: add `restart: \
                         unless-stopped`"
                    ));
                }
            }
            configs.push((name, config));
        }
        report.problems.extend(port_conflicts(configs));
        for warning in &report.warnings {
            self.log(&format!("warning: {warning}")).await;
        }
        for problem in &report.problems {
            self.log(&format!("refused: {problem}")).await;
        }
        // Notes about the host itself belong into the report, hints about its files only into the log.
        plan.state.notes.extend(report.warnings.into_iter().filter(|warning| warning.contains("exposure")));
        let Some(first) = report.problems.first() else {
            self.stages.complete("prepare");
            self.stages.complete("validate");
            return Ok(());
        };
        let more = match report.problems.len() {
            1 => String::new(),
            count => format!(" (and {} more, see the log)", count - 1),
        };
        let message = format!("{first}{more}; nothing was changed");
        Err(JobFailure::new(ErrorCode::CheckRefused, message))
    }

    /// Checks the files and the configuration of a service. `None` if there is no valid configuration.
    fn check_service<'a>(
        &self,
        plan: &'a ComposePlan,
        name: &str,
        report: &mut CheckFindings,
    ) -> Option<&'a ProjectConfig> {
        let project = self.project(name, &plan.tree);
        if !project.compose_file().is_file() {
            report.problems.push(format!(
                "{name} has no services/{name}/docker-compose.yml in the repository: add it, or remove the service from \
                 the file of the host"
            ));
            return None;
        }
        if let Some(path) = &project.env_file {
            match EnvFile::read(path) {
                Ok(file) if file.is_world_readable => report.warnings.push(format!(
                    "{} can be read by all users: protect it with `chmod 600 {0}`",
                    path.display()
                )),
                Ok(_) => {}
                Err(error) => {
                    report.problems.push(format!("{name}: could not read {}: {error}", path.display()));
                    return None;
                }
            }
        }
        if let Some(path) = &project.override_file
            && let Err(error) = File::open(path)
        {
            report.problems.push(format!("{name}: could not read {}: {error}", path.display()));
            return None;
        }
        match plan.configs.get(name)? {
            Ok(config) => Some(config),
            Err(error) => {
                // The scratch tree is removed before an operator reads this.
                let tree = format!("{}/", plan.tree.display());
                report.problems.push(format!("{name}: {}", error.to_string().replace(&tree, "")));
                None
            }
        }
    }

    fn check_exposure(
        &self,
        plan: &ComposePlan,
        service: &crate::compose::AssignedService,
        config: &ProjectConfig,
        report: &mut CheckFindings,
    ) {
        if self.engine.exposure == ExposurePolicy::Off {
            return;
        }
        for issue in judge_exposure(service, config, self.engine.hostname.as_str(), plan.node.ingress) {
            match issue {
                ExposureIssue::Violation(message) if self.engine.exposure == ExposurePolicy::Enforce => {
                    report.problems.push(message);
                }
                ExposureIssue::Violation(message) | ExposureIssue::Note(message) => {
                    report.warnings.push(message);
                }
            }
        }
    }
}
