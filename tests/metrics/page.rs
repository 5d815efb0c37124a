//! The page of metrics of a listener.

use crate::common::eventually;
#[allow(unused_imports, reason = "the bench uses a part of it")]
pub(crate) use crate::common::page::{Page, address, ending, get, served, try_get, whole};
use crate::stage::Stage;

/// A host with metrics whose rebuild program is this script.
pub(crate) fn measured(script: &str) -> Stage {
    Stage::with(script, served)
}

/// Waits until so many requests ended so.
pub(crate) fn until_ended(stage: &mut Stage, ended: (&str, &str, &str), times: u64) {
    let (status, action, error) = ended;
    eventually("a count", || (Page::of(&mut stage.host).ended(status, action, error) >= times).then_some(()));
}
