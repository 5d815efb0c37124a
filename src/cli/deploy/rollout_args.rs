//! Arguments for a rollout in batches.

use super::super::exit::CommandError;
use crate::client::{BatchSize, Canary, OrderKey, RolloutStrategy, parse_pause};
use clap::Args;
use std::time::Duration;

/// Batch size, canary, failure limit, pause and order of a rollout.
#[derive(Debug, Args)]
#[command(next_help_heading = "Batches")]
pub(in crate::cli) struct RolloutArgs {
    /// Hosts per batch: a number, or a percentage such as 25%
    #[arg(long, value_name = "N|P%")]
    batch: Option<BatchSize>,
    /// First batch, which must complete: a host, or a number of hosts
    #[arg(long, value_name = "HOST|N")]
    canary: Option<Canary>,
    /// Failed hosts to tolerate before no further batch starts [default: 0]
    #[arg(long, value_name = "N")]
    max_failures: Option<usize>,
    /// Pause between batches, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = parse_pause)]
    pause: Option<Duration>,
    /// Sort keys, comma-separated: tier, role, host [default: role,host]
    #[arg(long, value_name = "KEYS", value_parser = parse_order)]
    order: Option<OrderKeys>,
}

/// Parsed sort keys with their original spelling.
#[derive(Debug, Clone)]
struct OrderKeys(Vec<OrderKey>, String);

fn parse_order(text: &str) -> Result<OrderKeys, crate::client::RolloutError> {
    Ok(OrderKeys(OrderKey::parse_list(text)?, text.to_owned()))
}

impl RolloutArgs {
    /// Returns the rollout, if --batch or --canary is given. The other flags are an error without them.
    pub(in crate::cli) fn rollout(&self) -> Result<Option<RolloutStrategy>, CommandError> {
        if self.batch.is_some() || self.canary.is_some() {
            return Ok(Some(self.build(self.batch)));
        }
        let given = [
            ("--max-failures", self.max_failures.is_some()),
            ("--pause", self.pause.is_some()),
            ("--order", self.order.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(None),
            Some((flag, _)) => Err(CommandError::usage(anyhow::anyhow!(
                "{flag} applies to a rollout in batches: add --batch or --canary"
            ))),
        }
    }

    /// Returns the rollout, with one host per batch if no size is given.
    pub(in crate::cli) fn one_by_one(&self) -> RolloutStrategy {
        self.build(self.batch.or(Some(BatchSize::Hosts(1))))
    }

    fn build(&self, batch: Option<BatchSize>) -> RolloutStrategy {
        let default = RolloutStrategy::default();
        RolloutStrategy {
            batch_size: batch,
            canary: self.canary.clone(),
            max_failures: self.max_failures.unwrap_or(default.max_failures),
            pause: self.pause.unwrap_or(default.pause),
            order: self.order.as_ref().map_or(default.order, |order| order.0.clone()),
        }
    }

    /// The arguments for a command that continues with the remaining hosts. Empty if they make no batches, unless the
    /// command deploys in batches in any case (`always`).
    pub(in crate::cli) fn to_args(&self, with_canary: bool, always: bool) -> Vec<String> {
        let canary = self.canary.as_ref().filter(|_| with_canary).map(|canary| match canary {
            // The named canary has already been tried.
            Canary::Host(_) => "1".to_owned(),
            Canary::First(hosts) => hosts.to_string(),
        });
        let batch = self.batch.map(|batch| match batch {
            BatchSize::Hosts(hosts) => hosts.to_string(),
            BatchSize::Percent(percent) => format!("{percent}%"),
        });
        if batch.is_none() && canary.is_none() && !always {
            return Vec::new();
        }
        let others = [
            ("--max-failures", self.max_failures.map(|failures| failures.to_string())),
            ("--pause", self.pause.map(|pause| pause.as_secs().to_string())),
            ("--order", self.order.as_ref().map(|order| order.1.clone())),
        ];
        let values = [("--batch", batch), ("--canary", canary)].into_iter().chain(others);
        values.filter_map(|(flag, value)| Some([flag.to_owned(), value?])).flatten().collect()
    }
}
