//! Confirmation by the person who uses the client. The client asks in the form that the protocol version has. If it
//! cannot ask, the argument `confirm` replaces the answer: the code that was issued with exactly this question.

use super::confirmation_codes::{CODE_LIFETIME, ConfirmationCodes, ConfirmationScope};
use super::parameters::Confirm;
use super::result::ToolError;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolResponse, ClientCapabilities, ElicitRequest, ElicitRequestParams, ElicitResult,
    ElicitationAction, ElicitationSchema, InputRequest, InputRequiredResult, InputResponses, ProtocolVersion,
};
use rmcp::service::RequestContext;
use std::collections::BTreeMap;

/// Name of the elicitation request, and of the field in its form.
const CONFIRM: &str = "confirm";

/// What a retried call contains, in protocol versions in which a server cannot send requests.
pub(super) struct Retry {
    pub(super) responses: Option<InputResponses>,
    /// The code of the previous question. The client could change it, so it is valid only for the same question.
    pub(super) state: Option<String>,
}

/// The person's decision.
pub(super) enum Decision {
    Approved,
    /// Not approved, with the reason.
    Declined(String),
    /// The client must ask first and then repeat the call.
    InputRequired(Box<CallToolResponse>),
}

/// The question as text, and the exact scope that it confirms.
pub(super) struct ConfirmationRequest<'a> {
    pub(super) text: String,
    pub(super) scope: ConfirmationScope,
    pub(super) codes: &'a ConfirmationCodes,
}

/// Asks the person for confirmation. `confirm` is the argument of the call.
pub(super) async fn request_confirmation(
    request: ConfirmationRequest<'_>,
    confirm: Option<Confirm>,
    retry: Retry,
    context: &RequestContext<RoleServer>,
) -> Result<Decision, ToolError> {
    if let Some(Confirm::Flag(true)) = confirm {
        return request.refuse("invalid `confirm: true`: expected the code from an earlier refusal. ");
    }
    if !can_ask(context.client_capabilities().as_ref()) {
        return match confirm {
            Some(Confirm::Code(code)) => match request.codes.redeem(code.trim(), &request.scope) {
                Ok(()) => Ok(Decision::Approved),
                Err(error) => request.refuse(&format!("{error}. ")),
            },
            _ => request.refuse(""),
        };
    }
    if context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
        return request.check_retry(retry);
    }
    let params = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: request.text,
        requested_schema: form(),
    };
    let answer = tokio::select! {
        answer = context.peer.create_elicitation(params) => answer,
        () = context.ct.cancelled() => {
            return Ok(Decision::Declined("the call was cancelled; nothing was sent".to_owned()));
        }
    };
    Ok(match answer {
        Ok(result) => decision(&result),
        Err(error) => Decision::Declined(format!(
            "the client failed to ask for confirmation ({error}); nothing was sent"
        )),
    })
}

/// Whether the client supports forms. One that declares elicitation without modes does.
fn can_ask(capabilities: Option<&ClientCapabilities>) -> bool {
    let elicitation = capabilities.and_then(|capabilities| capabilities.elicitation.as_ref());
    elicitation.is_some_and(|modes| modes.form.is_some() || modes.url.is_none())
}

impl ConfirmationRequest<'_> {
    fn code(&self) -> Result<String, ToolError> {
        let code = self.codes.issue(self.scope.clone());
        code.map_err(|error| {
            ToolError::new(format!("failed to create a confirmation code: {error}; nothing was sent"))
        })
    }

    /// Refuses the call, with the question and a code for it.
    fn refuse(&self, why: &str) -> Result<Decision, ToolError> {
        let (code, minutes) = (self.code()?, CODE_LIFETIME.as_secs() / 60);
        Err(ToolError::untruncated(format!(
            "{why}not confirmed, nothing was sent. Ask the person: {} Only if they agree, call again with the same \
             arguments and confirm: \"{code}\"; the code is valid once, for this question only, for {minutes} minutes",
            self.text
        )))
    }

    /// In the newest protocol version, the question is sent as a result, and the answer arrives with the next call.
    fn check_retry(&self, mut retry: Retry) -> Result<Decision, ToolError> {
        let answer = retry.responses.as_mut().and_then(|responses| responses.remove(CONFIRM));
        let answer = answer.and_then(|answer| serde_json::from_value::<ElicitResult>(answer).ok());
        if let (Some(result), Some(code)) = (&answer, &retry.state)
            && self.codes.redeem(code, &self.scope).is_ok()
        {
            return Ok(decision(result));
        }
        // This is the first call, or the plan differs from what was confirmed.
        let params = ElicitRequestParams::FormElicitationParams {
            meta: None,
            message: self.text.clone(),
            requested_schema: form(),
        };
        let asks =
            BTreeMap::from([(CONFIRM.to_owned(), InputRequest::Elicitation(ElicitRequest::new(params)))]);
        let result = InputRequiredResult::new(Some(asks), Some(self.code()?));
        Ok(Decision::InputRequired(Box::new(result.into())))
    }
}

fn decision(result: &ElicitResult) -> Decision {
    let ticked = result.content.as_ref().and_then(|content| content.get(CONFIRM)?.as_bool());
    match (&result.action, ticked) {
        // Submitting the form without an explicit refusal is an approval.
        (ElicitationAction::Accept, Some(true) | None) => Decision::Approved,
        _ => Decision::Declined(
            "the person did not agree; nothing was sent. Do not try again unless they ask for it".to_owned(),
        ),
    }
}

fn form() -> ElicitationSchema {
    ElicitationSchema::builder()
        .required_bool_with(CONFIRM, |tick| tick.title("Deploy to these hosts"))
        .build_unchecked()
}
