//! Interprets the exit status and the output of `switch-to-configuration test`: rule 6 of the pipeline, as a pure
//! table.

use super::command::CommandExit;
use super::switch_output::SwitchOutput;

/// How an activation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ActivationResult {
    /// The new system runs.
    Done,
    /// The new system runs, but some units failed; the verify phase decides whether they count.
    SomeUnitsFailed,
    /// Another activation runs on the host, so this one did not start.
    Busy,
    /// Nothing was changed, for this reason.
    NothingChanged(String),
    /// The host is between two systems, for this reason.
    Broken(String),
}

/// The message for [`ActivationResult::Busy`].
pub(in crate::activation) const BUSY: &str =
    "another activation is running on this host; try again when it has ended";

/// The message for a system that cannot be switched to while the host runs.
pub(in crate::activation) const BOOT_REQUIRED: &str =
    "the new system can only be activated at boot; deploy with boot, then reboot";

/// The running system after an activation, compared with before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RunningSystem {
    /// Whether the target system is the running one.
    pub(super) is_target: bool,
    /// Whether the running system is another one than before.
    pub(super) has_changed: bool,
}

/// Classifies the end of `switch-to-configuration test`. `known_failures` are the snippets of the activation script
/// that failed in the old system as well.
pub(super) fn classify(
    ended: &CommandExit,
    output: &SwitchOutput,
    running: RunningSystem,
    known_failures: &[String],
) -> ActivationResult {
    let how = &ended.description;
    let why = output.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let untouched = !running.has_changed && !output.has_started;
    match ended.code {
        Some(0 | 2 | 4) if output.script_failed || (ended.code == Some(2) && !untouched) => {
            let failed = &output.failed_snippets;
            let known = !failed.is_empty() && failed.iter().all(|snippet| known_failures.contains(snippet));
            if known && running.is_target {
                return if ended.code == Some(0) {
                    ActivationResult::Done
                } else {
                    ActivationResult::SomeUnitsFailed
                };
            }
            let parts = if failed.is_empty() { String::new() } else { format!(" in {}", failed.join(", ")) };
            ActivationResult::Broken(format!("the activation script failed{parts} ({how})"))
        }
        Some(0 | 4) if !running.is_target => ActivationResult::Broken(format!(
            "switch-to-configuration {how}, but the new system is not the running one: its activation script did not run \
             to its end"
        )),
        Some(0) => ActivationResult::Done,
        Some(4) => ActivationResult::SomeUnitsFailed,
        // After the change has started, the output also quotes activation scripts and failed units, which may print
        // anything.
        Some(_) if output.lock_held && !output.has_started => ActivationResult::Busy,
        Some(100) if untouched => ActivationResult::NothingChanged(BOOT_REQUIRED.into()),
        // The program exits with 1 on any error, before and after it has changed something.
        Some(1 | 2) if untouched => {
            ActivationResult::NothingChanged(format!("the new system refused to be activated ({how}{why})"))
        }
        Some(3) => ActivationResult::Broken(format!("systemd could not be reloaded ({how})")),
        Some(_) => ActivationResult::Broken(format!("switch-to-configuration {how}{why}")),
        None => ActivationResult::Broken(format!("switch-to-configuration {how}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: RunningSystem = RunningSystem { is_target: true, has_changed: true };
    const UNMOVED: RunningSystem = RunningSystem { is_target: false, has_changed: false };

    fn classified(code: Option<i32>, output: &SwitchOutput, running: RunningSystem) -> ActivationResult {
        classify(&CommandExit { code, description: "x".into() }, output, running, &["known".to_owned()])
    }

    fn started() -> SwitchOutput {
        SwitchOutput { has_started: true, ..SwitchOutput::default() }
    }

    #[test]
    fn each_exit_code_has_its_meaning() {
        assert_eq!(classified(Some(0), &started(), DONE), ActivationResult::Done);
        assert_eq!(classified(Some(4), &started(), DONE), ActivationResult::SomeUnitsFailed);
        for code in [1, 2, 100] {
            let classified = classified(Some(code), &SwitchOutput::default(), UNMOVED);
            assert!(matches!(classified, ActivationResult::NothingChanged(_)), "{code}: {classified:?}");
        }
        for code in [Some(2), Some(3), Some(5), Some(101), Some(127), None] {
            let classified = classified(code, &started(), DONE);
            assert!(matches!(classified, ActivationResult::Broken(_)), "{code:?}: {classified:?}");
        }
    }

    #[test]
    fn success_without_the_target_system_is_a_broken_activation() {
        for code in [0, 4] {
            let classified = classified(Some(code), &started(), UNMOVED);
            assert!(matches!(classified, ActivationResult::Broken(_)), "{code}: {classified:?}");
        }
    }

    #[test]
    fn failed_script_counts_with_every_exit_code() {
        let failed = |snippet: &str| SwitchOutput {
            script_failed: true,
            failed_snippets: vec![snippet.to_owned()],
            ..started()
        };
        for code in [0, 2, 4] {
            let new = classified(Some(code), &failed("new"), DONE);
            assert!(matches!(new, ActivationResult::Broken(_)), "{code}: {new:?}");
            let known = classified(Some(code), &failed("known"), DONE);
            assert!(!matches!(known, ActivationResult::Broken(_)), "{code}: {known:?}");
            let half = classified(Some(code), &failed("known"), UNMOVED);
            assert!(matches!(half, ActivationResult::Broken(_)), "{code}: {half:?}");
        }
    }

    #[test]
    fn nothing_changed_requires_the_same_system_and_no_stopped_units() {
        for code in [1, 100] {
            for (output, running) in [(started(), UNMOVED), (SwitchOutput::default(), DONE)] {
                let classified = classified(Some(code), &output, running);
                assert!(matches!(classified, ActivationResult::Broken(_)), "{code}: {classified:?}");
            }
        }
    }

    #[test]
    fn held_lock_means_busy_only_before_the_change() {
        let held = SwitchOutput { lock_held: true, ..SwitchOutput::default() };
        for code in [1, 11, 255] {
            // Another activation may have changed the running system.
            assert_eq!(classified(Some(code), &held, DONE), ActivationResult::Busy, "{code}");
            let after = classified(Some(code), &SwitchOutput { has_started: true, ..held.clone() }, DONE);
            assert!(matches!(after, ActivationResult::Broken(_)), "{code}: {after:?}");
        }
    }
}
