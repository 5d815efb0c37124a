//! The arguments about waves.

use super::super::exit::Failed;
use crate::deployer::{Batch, Canary, OrderKey, Waves, parse_pause};
use clap::Args;
use std::time::Duration;

/// How hosts are changed one wave after the other.
#[derive(Debug, Args)]
#[command(next_help_heading = "Waves")]
pub(in crate::cli) struct WavesArgs {
    /// How many hosts at a time: a number, or per cent of all as in 25%
    #[arg(long, value_name = "N|P%")]
    batch: Option<Batch>,
    /// Who goes first and must complete before anybody else begins: a host, or a number of hosts
    #[arg(long, value_name = "HOST|N")]
    canary: Option<Canary>,
    /// How many hosts may fail before no further wave begins; without, none
    #[arg(long, value_name = "N")]
    max_failures: Option<usize>,
    /// Seconds between two waves
    #[arg(long, value_name = "SECONDS", value_parser = parse_pause)]
    pause: Option<Duration>,
    /// What hosts are sorted by: tier, role and host, with commas; without, role,host
    #[arg(long, value_name = "KEYS", value_parser = parse_order)]
    order: Option<Order>,
}

/// The keys of an order.
#[derive(Debug, Clone)]
struct Order(Vec<OrderKey>, String);

fn parse_order(text: &str) -> Result<Order, crate::deployer::WavesError> {
    Ok(Order(OrderKey::parse_list(text)?, text.to_owned()))
}

impl WavesArgs {
    /// The waves, where any were asked for.
    pub(in crate::cli) fn waves(&self) -> Result<Option<Waves>, Failed> {
        if self.batch.is_some() || self.canary.is_some() {
            return Ok(Some(self.made(self.batch)));
        }
        let given = [
            ("--max-failures", self.max_failures.is_some()),
            ("--pause", self.pause.is_some()),
            ("--order", self.order.is_some()),
        ];
        match given.iter().find(|(_, given)| *given) {
            None => Ok(None),
            Some((flag, _)) => {
                Err(Failed::usage(anyhow::anyhow!("{flag} is about waves: add --batch or --canary")))
            }
        }
    }

    /// The waves; without a size, one host at a time.
    pub(in crate::cli) fn one_by_one(&self) -> Waves {
        self.made(self.batch.or(Some(Batch::Hosts(1))))
    }

    fn made(&self, batch: Option<Batch>) -> Waves {
        let default = Waves::default();
        Waves {
            batch,
            canary: self.canary.clone(),
            max_failures: self.max_failures.unwrap_or(default.max_failures),
            pause: self.pause.unwrap_or(default.pause),
            order: self.order.as_ref().map_or(default.order, |order| order.0.clone()),
        }
    }

    /// What was given, to be typed again for the rest of the hosts. Where it makes no waves, unless `always` there are any, it
    /// is nothing.
    pub(in crate::cli) fn typed(&self, with_canary: bool, always: bool) -> Vec<String> {
        let canary = self.canary.as_ref().filter(|_| with_canary).map(|canary| match canary {
            // The one that was named has been tried.
            Canary::Host(_) => "1".to_owned(),
            Canary::First(hosts) => hosts.to_string(),
        });
        let batch = self.batch.map(|batch| match batch {
            Batch::Hosts(hosts) => hosts.to_string(),
            Batch::Percent(percent) => format!("{percent}%"),
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
