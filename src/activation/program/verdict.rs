//! What an ending of `switch-to-configuration` means: rule 6 of the pipeline, as a pure table.

use super::child::Ended;

/// What became of an activation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Activated {
    /// All is done.
    Done,
    /// The new system runs, some units failed; whether that counts is for verify to say.
    SomeUnitsFailed,
    /// Another activation runs on the host; this one never began.
    Busy,
    /// Nothing was changed, for this reason.
    NothingChanged(String),
    /// The host is between two systems, for this reason.
    Broken(String),
}

/// What an operator is told of [`Activated::Busy`].
pub(super) const BUSY: &str = "another activation runs on this host; try again once it has ended";

/// Reads how `switch-to-configuration test` ended.
pub(super) fn judge(ended: &Ended) -> Activated {
    let how = &ended.how;
    match ended.code {
        Some(0) => Activated::Done,
        // The codes that come after the change quote what failed units said, and that may be anything.
        Some(code) if !(2..=4).contains(&code) && ended.said.contains("Could not acquire lock") => {
            Activated::Busy
        }
        Some(1) => Activated::NothingChanged(format!("the new system refused to be activated ({how})")),
        Some(4) => Activated::SomeUnitsFailed,
        Some(100) => Activated::NothingChanged(
            "the new system can only be taken up at boot; deploy with boot, then reboot".into(),
        ),
        Some(2) => Activated::Broken(format!("the activation script failed ({how})")),
        Some(3) => Activated::Broken(format!("systemd could not be reloaded ({how})")),
        _ => Activated::Broken(format!("switch-to-configuration {how}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ending_has_its_meaning() {
        let ended = |code, said: &str| Ended { code, how: "x".into(), said: said.into() };
        assert_eq!(judge(&ended(Some(0), "")), Activated::Done);
        assert_eq!(judge(&ended(Some(4), "")), Activated::SomeUnitsFailed);
        for code in [Some(1), Some(100)] {
            assert!(matches!(judge(&ended(code, "")), Activated::NothingChanged(_)), "{code:?}");
        }
        let busy = "iptables: Could not acquire lock";
        // 11 and 255 are how Perl dies.
        for code in [Some(1), Some(11), Some(255)] {
            assert_eq!(judge(&ended(code, busy)), Activated::Busy, "{code:?}");
        }
        assert_eq!(judge(&ended(Some(0), busy)), Activated::Done);
        assert_eq!(judge(&ended(Some(4), busy)), Activated::SomeUnitsFailed);
        for code in [Some(2), Some(3), None] {
            assert!(matches!(judge(&ended(code, busy)), Activated::Broken(_)), "{code:?}");
        }
        for code in [Some(2), Some(3), Some(5), Some(127), None] {
            assert!(matches!(judge(&ended(code, "")), Activated::Broken(_)), "{code:?}");
        }
    }
}
