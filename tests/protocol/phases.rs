//! Phases only move forward: no report contradicts an earlier one.

use crate::strategies::cases;
use homelab_deploy::protocol::{PhaseName, PhaseState, Phases};
use proptest::prelude::*;

fn states(phases: &Phases) -> Vec<(&str, &str)> {
    phases.0.iter().map(|phase| (phase.name.as_str(), phase.state.as_str())).collect()
}

#[test]
fn a_phase_that_is_entered_ends_the_one_before_and_skips_those_passed_over() {
    let mut phases = Phases::pending();
    assert_eq!((phases.running(), phases.failed(), phases.is_empty()), (None, None, false));
    assert!(phases.enter(&PhaseName::Prepare));
    assert!(phases.enter(&PhaseName::Check));
    assert_eq!(phases.running().unwrap().name, PhaseName::Check);
    let expected = [
        ("prepare", "done"),
        ("build", "skipped"),
        ("check", "running"),
        ("activate", "pending"),
        ("verify", "pending"),
        ("persist", "pending"),
    ];
    assert_eq!(states(&phases), expected);
}

#[test]
fn entering_an_earlier_the_running_or_an_unknown_phase_changes_nothing() {
    let mut phases = Phases::pending();
    phases.enter(&PhaseName::Check);
    let before = phases.clone();
    for name in [PhaseName::Prepare, PhaseName::Build, PhaseName::Check, PhaseName::from("bless")] {
        assert!(!phases.enter(&name), "{name}");
        assert_eq!(phases, before, "{name}");
    }
}

#[test]
fn a_rollback_is_listed_once_started_and_the_running_phase_has_failed() {
    let mut phases = Phases::pending();
    phases.enter(&PhaseName::Activate);
    assert!(phases.enter(&PhaseName::Rollback));
    assert!(!phases.enter(&PhaseName::Rollback), "twice");
    assert!(!phases.enter(&PhaseName::Verify), "after it");
    assert_eq!(phases.failed().unwrap().name, PhaseName::Activate);
    phases.end(&PhaseState::Done);
    let expected = [
        ("prepare", "skipped"),
        ("build", "skipped"),
        ("check", "skipped"),
        ("activate", "failed"),
        ("verify", "skipped"),
        ("persist", "skipped"),
        ("rollback", "done"),
    ];
    assert_eq!(states(&phases), expected);
}

/// A step of a job: a phase starts, or the running phase ends.
#[derive(Debug, Clone)]
enum Step {
    Enter(PhaseName),
    End(PhaseState),
}

fn step() -> impl Strategy<Value = Step> {
    let name = prop_oneof![
        9 => prop::sample::select(PhaseName::ALL),
        1 => Just(PhaseName::from("bless")),
    ];
    let end = prop::sample::select(vec![PhaseState::Done, PhaseState::Failed, PhaseState::Skipped]);
    prop_oneof![4 => name.prop_map(Step::Enter), 1 => end.prop_map(Step::End)]
}

fn rank(state: &PhaseState) -> usize {
    match state {
        PhaseState::Pending => 0,
        PhaseState::Running => 1,
        _ => 2,
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_two_phases_run_and_none_goes_back(
        known in any::<bool>(),
        steps in prop::collection::vec(step(), 0..24),
    ) {
        let mut phases = if known { Phases::pending() } else { Phases::default() };
        for step in steps {
            let before = phases.clone();
            match &step {
                Step::Enter(name) => {
                    let entered = phases.enter(name);
                    prop_assert_eq!(entered, phases != before);
                    prop_assert!(!entered || phases.running().is_some_and(|phase| phase.name == *name));
                }
                Step::End(state) => phases.end(state),
            }
            let running = phases.0.iter().filter(|phase| phase.state == PhaseState::Running).count();
            prop_assert!(running <= 1, "{:?}", phases);
            prop_assert!(phases.0.len() >= before.0.len());
            for (now, then) in phases.0.iter().zip(&before.0) {
                prop_assert_eq!(&now.name, &then.name);
                let unchanged = now.state == then.state;
                prop_assert!(unchanged || rank(&then.state) < rank(&now.state), "{:?} {:?}", then, now);
            }
        }
    }
}
