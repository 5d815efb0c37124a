//! Whether the person behind the client agrees. They are asked in the way that the version of the protocol has for it;
//! where the client cannot ask, the argument `confirm` replaces their answer: the code that came with the very question.

use super::codes::{Codes, GOOD_FOR, Question};
use super::error::ToolError;
use super::parameters::Confirm;
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
    /// The code of what was asked before. It comes from the client and counts only where the same would be asked again.
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

/// What is asked: as a person reads it, and exactly.
pub(super) struct Asked<'a> {
    pub(super) text: String,
    pub(super) question: Question,
    pub(super) codes: &'a Codes,
}

/// Asks whether it shall be done. `confirm` is what the argument says.
pub(super) async fn confirmed(
    asked: Asked<'_>,
    confirm: Option<Confirm>,
    retry: Retry,
    context: &RequestContext<RoleServer>,
) -> Result<Word, ToolError> {
    if let Some(Confirm::Flag(true)) = confirm {
        return asked.refuse("`confirm: true` names no question; expected the code that a refusal named. ");
    }
    if !can_ask(context.client_capabilities().as_ref()) {
        return match confirm {
            Some(Confirm::Code(code)) => match asked.codes.take(code.trim(), &asked.question) {
                Ok(()) => Ok(Word::Yes),
                Err(error) => asked.refuse(&format!("{error}. ")),
            },
            _ => asked.refuse(""),
        };
    }
    if context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
        return asked.answered(retry);
    }
    let params = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: asked.text,
        requested_schema: form(),
    };
    let asked = tokio::select! {
        asked = context.peer.create_elicitation(params) => asked,
        () = context.ct.cancelled() => {
            return Ok(Word::No("the call was cancelled; nothing was sent".to_owned()));
        }
    };
    Ok(match asked {
        Ok(result) => word(&result),
        Err(error) => {
            Word::No(format!("the client could not ask for confirmation ({error}); nothing was sent"))
        }
    })
}

/// Whether the client has a form to ask with; one that says no more than that it can ask has one.
fn can_ask(capabilities: Option<&ClientCapabilities>) -> bool {
    let elicitation = capabilities.and_then(|capabilities| capabilities.elicitation.as_ref());
    elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
}

impl Asked<'_> {
    fn code(&self) -> Result<String, ToolError> {
        let code = self.codes.give(self.question.clone());
        code.map_err(|error| {
            ToolError::new(format!("failed to make a code for the question: {error}; nothing was sent"))
        })
    }

    /// Refuses with the question and a code for it.
    fn refuse(&self, why: &str) -> Result<Word, ToolError> {
        let (code, minutes) = (self.code()?, GOOD_FOR.as_secs() / 60);
        Err(ToolError::whole(format!(
            "{why}not confirmed, nothing was sent. Ask the person: {} Only if they agree, call again with the same \
             arguments and confirm: \"{code}\"; the code is good once, for this question alone, within {minutes} minutes",
            self.text
        )))
    }

    /// In the newest protocol the question goes out as a result, and the answer comes with the next call.
    fn answered(&self, mut retry: Retry) -> Result<Word, ToolError> {
        let answer = retry.responses.as_mut().and_then(|responses| responses.remove(CONFIRM));
        let answer = answer.and_then(|answer| serde_json::from_value::<ElicitResult>(answer).ok());
        if let (Some(result), Some(code)) = (&answer, &retry.state)
            && self.codes.take(code, &self.question).is_ok()
        {
            return Ok(word(result));
        }
        // Asked for the first time, or what would be done is no longer what was agreed to.
        let params = ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: self.text.clone(),
            requested_schema: form(),
        };
        let asks =
            BTreeMap::from([(CONFIRM.to_owned(), InputRequest::Elicitation(ElicitRequest::new(params)))]);
        let result = InputRequiredResult::new(Some(asks), Some(self.code()?));
        Ok(Word::Ask(Box::new(result.into())))
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
