//! Whether the person behind the client agrees. They are asked in the way that the version of the protocol has for it;
//! where the client cannot ask, the argument `confirm` stands for their word.

use rmcp::RoleServer;
use rmcp::model::{
    CallToolResponse, ClientCapabilities, ElicitRequest, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationSchema, InputRequest, InputRequiredResult, InputResponses, ProtocolVersion,
};
use rmcp::service::RequestContext;
use std::collections::BTreeMap;

/// The name of the question, and of the field in its form.
const CONFIRM: &str = "confirm";

/// What a retry brings with it, in the protocol where a server cannot ask by itself.
pub(super) struct Retry {
    pub(super) responses: Option<InputResponses>,
    /// What was asked before. It comes from the client and counts only where the same would be asked again.
    pub(super) state: Option<String>,
}

/// The word of the person.
pub(super) enum Word {
    Yes,
    /// With the reason.
    No(String),
    /// The client must ask first, and then call again.
    Ask(Box<CallToolResponse>),
}

/// Asks whether what `question` tells shall be done. `confirm` is what the argument says.
pub(super) async fn confirmed(
    question: &str,
    confirm: bool,
    retry: Retry,
    context: &RequestContext<RoleServer>,
) -> Word {
    if !can_ask(context.client_capabilities().as_ref()) {
        return if confirm { Word::Yes } else { Word::No(unconfirmed(question)) };
    }
    if context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
        return answered(question, retry);
    }
    let params = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: question.to_owned(),
        requested_schema: form(),
    };
    let asked = tokio::select! {
        asked = context.peer.create_elicitation(params) => asked,
        () = context.ct.cancelled() => return Word::No("the call was cancelled; nothing was sent".to_owned()),
    };
    match asked {
        Ok(result) => word(&result),
        Err(error) => {
            Word::No(format!("the client could not ask for confirmation ({error}); nothing was sent"))
        }
    }
}

/// Whether the client has a form to ask with; one that says no more than that it can ask has one.
fn can_ask(capabilities: Option<&ClientCapabilities>) -> bool {
    let elicitation = capabilities.and_then(|capabilities| capabilities.elicitation.as_ref());
    elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
}

fn unconfirmed(question: &str) -> String {
    format!(
        "not confirmed, nothing was sent. Ask the person: {question} Only if they agree, call again with confirm: true"
    )
}

/// In the newest protocol the question goes out as a result, and the answer comes with the next call.
fn answered(question: &str, mut retry: Retry) -> Word {
    let answer = retry.responses.as_mut().and_then(|responses| responses.remove(CONFIRM));
    let answer = answer.and_then(|answer| serde_json::from_value::<ElicitResult>(answer).ok());
    match answer.filter(|_| retry.state.as_deref() == Some(question)) {
        Some(result) => word(&result),
        // Asked for the first time, or the hosts are no longer those that were agreed to.
        None => {
            let params = ElicitRequestParams::FormElicitationParams {
                meta: None,
                message: question.to_owned(),
                requested_schema: form(),
            };
            let asks =
                BTreeMap::from([(CONFIRM.to_owned(), InputRequest::Elicitation(ElicitRequest::new(params)))]);
            let result = InputRequiredResult::new(Some(asks), Some(question.to_owned()));
            Word::Ask(Box::new(result.into()))
        }
    }
}

fn word(result: &ElicitResult) -> Word {
    let ticked = result.content.as_ref().and_then(|content| content.get(CONFIRM)?.as_bool());
    match (&result.action, ticked) {
        // Whoever sends the form off without a word against it agrees.
        (ElicitationAction::Accept, Some(true) | None) => Word::Yes,
        _ => Word::No(
            "the person did not agree; nothing was sent. Do not try again unless they ask for it".to_owned(),
        ),
    }
}

fn form() -> ElicitationSchema {
    ElicitationSchema::builder()
        .required_bool_with(CONFIRM, |tick| tick.title("Deploy to these hosts"))
        .build_unchecked()
}
