//! A plan cut into waves.

use super::{Parcel, Plan};
use crate::deployer::{DeployError, Rollout, Seat, Wave, Waves};
use crate::fleet::Fleet;
use crate::protocol::{Name, printable};

impl Plan {
    /// Cuts the plan into waves; the hosts of `brokers` come last, each alone.
    pub fn in_waves(mut self, waves: &Waves, fleet: &Fleet, brokers: &[Name]) -> Result<Self, DeployError> {
        let mut seats = Vec::new();
        for parcel in &self.parcels {
            // Of a subject nobody can tell which hosts would wait for which.
            let (false, Some((host, tier))) = (parcel.spelled, parcel.hosts.first_key_value()) else {
                return Err(DeployError::SubjectInWaves { subject: printable(&parcel.subject) });
            };
            seats.push(Seat {
                host: host.clone(),
                tier: tier.clone(),
                role: fleet.hosts.get(host).and_then(|host| host.role.clone()),
                answers: !self.silent.contains_key(host),
                broker: brokers.contains(host),
            });
        }
        let (mut parcels, mut cut): (Vec<Parcel>, _) = (Vec::new(), Vec::new());
        for (kind, hosts) in waves.cut(seats)? {
            let from = parcels.len();
            for host in hosts {
                let at = self.parcels.iter().position(|parcel| parcel.hosts.contains_key(&host));
                parcels.extend(at.map(|at| self.parcels.swap_remove(at)));
            }
            cut.push(Wave { kind, parcels: from..parcels.len() });
        }
        self.parcels = parcels;
        self.rollout = Rollout::new(cut, waves.max_failures, waves.pause);
        Ok(self)
    }

    /// The hosts of a wave.
    pub fn hosts_of(&self, wave: &Wave) -> Vec<Name> {
        self.parcels[wave.parcels.clone()].iter().flat_map(|parcel| parcel.hosts.keys()).cloned().collect()
    }

    /// The hosts that nothing was sent to.
    pub fn untouched(&self) -> Vec<Name> {
        let left = &self.parcels[self.rollout.sent_parcels()..];
        left.iter().flat_map(|parcel| parcel.hosts.keys()).cloned().collect()
    }
}
