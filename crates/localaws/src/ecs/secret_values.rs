//! What ECS fills into containers from secrets before it starts them.

use crate::state::State;
use crate::wire::{list, text};
use crate::{secrets, ssm};
use serde_json::Value;

/// The variables of one container, or ECS's words about the first that it could not read:
/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/resource-initialization-error.html>.
pub(super) fn of_container(state: &State, container: &Value) -> Result<Vec<(String, String)>, String> {
    let pull =
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed";
    list(container, "secrets")
        .iter()
        .map(|secret| {
            let name = text(secret, "name").unwrap_or_default().to_owned();
            let from = text(secret, "valueFrom").unwrap_or_default();
            let value = if from.contains(":secretsmanager:") {
                secrets::value(state, from).map_err(|why| {
                    format!(
                        "{pull}: unable to retrieve secret from asm: service call has been retried 1 time(s): {why}"
                    )
                })
            } else {
                ssm::plain(state, from).map_err(|why| {
                    format!(
                        "{pull}: unable to retrieve secrets from ssm: service call has been retried 1 time(s): {why}"
                    )
                })
            };
            Ok((name, value?))
        })
        .collect()
}
