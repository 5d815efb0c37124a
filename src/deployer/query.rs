//! One query to hosts, and the replies to it that count.

use super::Operator;
use super::known_hosts::MessageTrust;
use crate::bus::{Gathered, LinkError, Patience, Received, Scatter};
use crate::protocol::{
    Answer, Ask, DISCOVER, Doubt, Name, PublicKey, Purpose, WireError, of_answer, of_answers_per_host,
};

/// What a query brought.
pub(super) struct Replied {
    /// The replies of hosts that are proven or allowed.
    pub(super) replies: Vec<SignedReply>,
    /// How it ended.
    pub(super) ended: Gathered,
}

/// A reply that counts.
pub(super) struct SignedReply {
    /// The reply, or why it could not be read.
    pub(super) answer: Result<Answer, WireError>,
    /// The key that has proven who has sent it, if one has.
    pub(super) signer: Option<PublicKey>,
}

impl Operator {
    /// Sends a query and gives the replies that count. `is_enough` is called with the host of each that is proven or allowed.
    pub(super) async fn query(
        &self,
        mut ask: Ask,
        patience: Patience,
        mut is_enough: impl FnMut(&Name) -> bool,
    ) -> Result<Replied, LinkError> {
        ask.reply_per_host = Some(true);
        let id = ask.reply_to.id().clone();
        let scatter = Scatter {
            subject: DISCOVER,
            reply: &of_answer(&id),
            also: Some(&of_answers_per_host(&id)),
            purpose: Purpose::Query,
            payload: ask.encode(),
        };
        let read = |_: &str, payload: &[u8]| Answer::parse(payload);
        let mut replies = Vec::new();
        let take = |received: Received<Result<Answer, WireError>>| {
            let (admission, enough) = match &received.message {
                Some(Ok(answer)) => {
                    let host = answer.hostname();
                    let about = if let Answer::Host(answer) = answer { Some(&**answer) } else { None };
                    let (admission, _) = self.known.check(self.bus.fleet(), &received, host, about);
                    let enough = admission.is_used() && is_enough(host);
                    (admission, enough)
                }
                _ => (MessageTrust::Unproven(Doubt::Unsigned), false),
            };
            replies.extend(received.message.map(|reply| (admission, reply)));
            enough
        };
        let ended = self.bus.gather(scatter, read, patience, take).await?;
        // The first proven host may have come after others that had not to prove anything before.
        let unproven = self.known.allows_unproven();
        let counts = |(admission, reply): (MessageTrust, Result<Answer, WireError>)| match admission {
            MessageTrust::Unproven(doubt) if !unproven => {
                if let Ok(answer) = &reply {
                    self.known.refuse(answer.hostname(), doubt);
                }
                None
            }
            MessageTrust::Proven(key) => Some(SignedReply { answer: reply, signer: Some(key) }),
            MessageTrust::Unproven(_) => Some(SignedReply { answer: reply, signer: None }),
            MessageTrust::Early | MessageTrust::Refused => None,
        };
        Ok(Replied { replies: replies.into_iter().filter_map(counts).collect(), ended })
    }
}
