//! The statuses of all rollouts, as far as they are proven and in order, and commands to them.

use super::Operator;
use super::operator::fresh_id;
use crate::nats::{Client, NatsError, Received, Subscription};
use crate::protocol::{
    Id, KEY_HEADER, PublicKey, Purpose, REQUEST_LIFETIME, ROLLOUTS, RolloutCommand, RolloutControl,
    RolloutStatus, SIGNATURE_HEADER, WireError, decode_signature, rollout_control_subject, rollout_subject,
    signed_bytes,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// The most rollouts whose order is remembered.
const MAX_ROLLOUTS: usize = 1000;
/// The largest difference between the time of a status and our clock. An older one is a recording.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(5);

/// Receives the statuses of all rollouts.
///
/// The first status of a rollout decides which key may sign the others. A status that was received before, is older
/// than the last one, or is signed by another key is ignored.
pub struct RolloutStatuses {
    nats: Client,
    subscription: Subscription<Result<RolloutStatus, WireError>>,
    last: BTreeMap<Id, LastStatus>,
}

struct LastStatus {
    signer: Option<PublicKey>,
    runner: Id,
    seq: u64,
    at: Timestamp,
}

impl RolloutStatuses {
    /// Subscribes to all rollouts. If the server refuses that, a permission violation arrives later.
    pub async fn subscribe(operator: &Operator) -> Result<Self, NatsError> {
        let nats = operator.nats.clone();
        let subscription = nats.subscribe(ROLLOUTS, |_, payload| RolloutStatus::parse(payload)).await?;
        Ok(Self { nats, subscription, last: BTreeMap::new() })
    }

    /// The next status. Cancel safe.
    pub async fn next(&mut self) -> RolloutStatus {
        loop {
            let received = self.subscription.next().await;
            if let Some(status) = self.accept(received) {
                return status;
            }
        }
    }

    fn accept(&mut self, received: Received<Result<RolloutStatus, WireError>>) -> Option<RolloutStatus> {
        let signer = self.signer(&received).ok()?;
        let status = received.message?.ok()?;
        let is_recent = Timestamp::now().duration_since(status.at).abs() <= MAX_AGE;
        if received.subject != rollout_subject(&status.id) || !is_recent {
            return None;
        }
        if let Some(last) = self.last.get(&status.id) {
            let is_newer =
                if last.runner == status.runner { status.seq > last.seq } else { status.at > last.at };
            if last.signer != signer || !is_newer {
                return None;
            }
        } else if self.last.len() >= MAX_ROLLOUTS {
            // Ids sort by time.
            self.last.pop_first();
        }
        let (runner, seq, at) = (status.runner.clone(), status.seq, status.at);
        self.last.insert(status.id.clone(), LastStatus { signer, runner, seq, at });
        Some(status)
    }

    /// The key that signed a message; `None` if it is not signed. An error is an invalid signature.
    fn signer<T>(&self, received: &Received<T>) -> Result<Option<PublicKey>, ()> {
        let header = |name: &str| {
            let mut values = received.headers.iter().filter(|(header, _)| header == name);
            let first = values.next().map(|(_, value)| value.as_str());
            if values.next().is_some() { Err(()) } else { Ok(first) }
        };
        let (key, signature) = match (header(KEY_HEADER)?, header(SIGNATURE_HEADER)?) {
            (None, None) => return Ok(None),
            (Some(key), Some(signature)) => (key, signature),
            _ => return Err(()),
        };
        let key = PublicKey::parse(key).map_err(|_| ())?;
        let signature = decode_signature(signature).ok_or(())?;
        let signed = signed_bytes(Purpose::Rollout, self.nats.fleet(), &received.subject, &received.payload);
        if key.has_signed(&signed, &signature) { Ok(Some(key)) } else { Err(()) }
    }
}

/// Creates a command to the process that published this status.
pub fn rollout_control(status: &RolloutStatus, command: RolloutCommand, issuer: &str) -> RolloutControl {
    let now = Timestamp::now();
    RolloutControl {
        id: fresh_id(),
        rollout: status.id.clone(),
        runner: status.runner.clone(),
        command,
        issuer: Some(issuer.to_owned()),
        issued_at: now,
        expires_at: now.saturating_add(REQUEST_LIFETIME).unwrap_or(now),
    }
}

/// Publishes a command. The reply is part of the rollout's next status.
pub async fn send_rollout_control(nats: &Client, control: &RolloutControl) -> Result<(), NatsError> {
    let subject = rollout_control_subject(&control.rollout);
    nats.publish_signed(Purpose::Control, &subject, None, control.encode()).await
}
