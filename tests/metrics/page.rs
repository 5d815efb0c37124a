//! The metrics page of a listener.

use crate::common::eventually;
#[allow(unused_imports, reason = "the bench uses a part of it")]
pub(crate) use crate::common::metrics_page::{
    MetricsPage, address, deployments_series, get, try_get, whole_count, with_metrics,
};
use crate::stage::Stage;

/// A host with metrics whose external command is this script.
pub(crate) fn measured(script: &str) -> Stage {
    Stage::with(script, with_metrics)
}

/// Waits until at least `times` requests have this status, action and error.
pub(crate) fn wait_counted(stage: &mut Stage, result: (&str, &str, &str), times: u64) {
    let (status, action, error) = result;
    eventually("a count", || {
        (MetricsPage::of(&mut stage.host).deployments(status, action, error) >= times).then_some(())
    });
}
