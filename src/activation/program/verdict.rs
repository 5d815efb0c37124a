//! What the end of `switch-to-configuration test` means: rule 6 of the pipeline, as a pure table.

use super::child::Ended;
use super::output::SwitchOutput;

/// What became of an activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Activated {
    /// All is done.
    Done,
    /// The new system runs, some units failed; verify decides whether that counts.
    SomeUnitsFailed,
    /// Another activation runs on the host; this one never began.
    Busy,
    /// Nothing was changed, for this reason.
    NothingChanged(String),
    /// The host is between two systems, for this reason.
    Broken(String),
}

/// What an operator reads about [`Activated::Busy`].
pub(in crate::activation) const BUSY: &str =
    "another activation runs on this host; try again once it has ended";

/// What an operator reads about a system that a running one cannot take up.
pub(in crate::activation) const AT_BOOT: &str =
    "the new system can only be taken up at boot; deploy with boot, then reboot";

/// What runs after an activation, compared with before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Running {
    /// Whether the wanted system is the running one.
    pub(super) wanted: bool,
    /// Whether another system runs than before.
    pub(super) moved: bool,
}

/// Reads how `switch-to-configuration test` ended. `known_failures` are parts of the activation script that failed in
/// the old system as well.
pub(super) fn judge(
    ended: &Ended,
    output: &SwitchOutput,
    running: Running,
    known_failures: &[String],
) -> Activated {
    let how = &ended.how;
    let why = output.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let untouched = !running.moved && !output.began;
    match ended.code {
        Some(0 | 2 | 4) if output.script_failed || (ended.code == Some(2) && !untouched) => {
            let failed = &output.failed_snippets;
            let known = !failed.is_empty() && failed.iter().all(|snippet| known_failures.contains(snippet));
            if known && running.wanted {
                return if ended.code == Some(0) { Activated::Done } else { Activated::SomeUnitsFailed };
            }
            let parts = if failed.is_empty() { String::new() } else { format!(" in {}", failed.join(", ")) };
            Activated::Broken(format!("the activation script failed{parts} ({how})"))
        }
        Some(0 | 4) if !running.wanted => Activated::Broken(format!(
            "switch-to-configuration {how}, but the new system is not the running one: its activation script did not \
             reach its end"
        )),
        Some(0) => Activated::Done,
        Some(4) => Activated::SomeUnitsFailed,
        // What comes after the change quotes activation scripts and failed units, which print what they like.
        Some(_) if output.lock_held && !output.began => Activated::Busy,
        Some(100) if untouched => Activated::NothingChanged(AT_BOOT.into()),
        // The program ends with 1 for any error, before and after it has changed something.
        Some(1 | 2) if untouched => {
            Activated::NothingChanged(format!("the new system refused to be activated ({how}{why})"))
        }
        Some(3) => Activated::Broken(format!("systemd could not be reloaded ({how})")),
        Some(_) => Activated::Broken(format!("switch-to-configuration {how}{why}")),
        None => Activated::Broken(format!("switch-to-configuration {how}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: Running = Running { wanted: true, moved: true };
    const UNMOVED: Running = Running { wanted: false, moved: false };

    fn judged(code: Option<i32>, output: &SwitchOutput, running: Running) -> Activated {
        judge(&Ended { code, how: "x".into() }, output, running, &["known".to_owned()])
    }

    fn began() -> SwitchOutput {
        SwitchOutput { began: true, ..SwitchOutput::default() }
    }

    #[test]
    fn each_exit_code_has_its_meaning() {
        assert_eq!(judged(Some(0), &began(), DONE), Activated::Done);
        assert_eq!(judged(Some(4), &began(), DONE), Activated::SomeUnitsFailed);
        for code in [1, 2, 100] {
            let judged = judged(Some(code), &SwitchOutput::default(), UNMOVED);
            assert!(matches!(judged, Activated::NothingChanged(_)), "{code}: {judged:?}");
        }
        for code in [Some(2), Some(3), Some(5), Some(101), Some(127), None] {
            let judged = judged(code, &began(), DONE);
            assert!(matches!(judged, Activated::Broken(_)), "{code:?}: {judged:?}");
        }
    }

    #[test]
    fn success_without_the_wanted_system_is_half_an_activation() {
        for code in [0, 4] {
            let judged = judged(Some(code), &began(), UNMOVED);
            assert!(matches!(judged, Activated::Broken(_)), "{code}: {judged:?}");
        }
    }

    #[test]
    fn failed_script_counts_whatever_the_exit_code() {
        let failed = |snippet: &str| SwitchOutput {
            script_failed: true,
            failed_snippets: vec![snippet.to_owned()],
            ..began()
        };
        for code in [0, 2, 4] {
            let new = judged(Some(code), &failed("new"), DONE);
            assert!(matches!(new, Activated::Broken(_)), "{code}: {new:?}");
            let known = judged(Some(code), &failed("known"), DONE);
            assert!(!matches!(known, Activated::Broken(_)), "{code}: {known:?}");
            let half = judged(Some(code), &failed("known"), UNMOVED);
            assert!(matches!(half, Activated::Broken(_)), "{code}: {half:?}");
        }
    }

    #[test]
    fn nothing_changed_only_if_nothing_moved_and_nothing_was_stopped() {
        for code in [1, 100] {
            for (output, running) in [(began(), UNMOVED), (SwitchOutput::default(), DONE)] {
                let judged = judged(Some(code), &output, running);
                assert!(matches!(judged, Activated::Broken(_)), "{code}: {judged:?}");
            }
        }
    }

    #[test]
    fn lock_makes_busy_only_before_the_change() {
        let held = SwitchOutput { lock_held: true, ..SwitchOutput::default() };
        for code in [1, 11, 255] {
            // Another activation may have moved the system.
            assert_eq!(judged(Some(code), &held, DONE), Activated::Busy, "{code}");
            let after = judged(Some(code), &SwitchOutput { began: true, ..held.clone() }, DONE);
            assert!(matches!(after, Activated::Broken(_)), "{code}: {after:?}");
        }
    }
}
