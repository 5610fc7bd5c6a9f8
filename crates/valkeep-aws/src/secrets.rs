//! Secrets where they lie: parameters of SSM and secrets of Secrets Manager.
//!
//! Nothing is kept, and no message holds a part of a value. The SDK marks these answers as sensitive and leaves them out
//! of its own logs.

use crate::clients::{Aws, Inner};
use crate::convert::{doubt, some};
use crate::error::Named;
use serde_json::{Map, Value};
use valkeep_core::access::Secret;
use valkeep_core::failure::{Failure, FailureKind};
use valkeep_core::ports::Secrets;
use valkeep_core::secret_reference::SecretPlace;
use valkeep_core::{Desired, Doubt, SecretReference};

impl Secrets for Aws {
    async fn secret(&self, desired: &Desired, reference: &SecretReference) -> Result<Secret, Doubt> {
        let there = self.of(desired).await;
        match reference.place() {
            SecretPlace::Parameter(name) => parameter(&there, name).await,
            SecretPlace::Manager {
                arn,
                key,
                stage,
                version,
            } => match managed(&there, arn, stage, version).await {
                Ok(text) => picked(text, key),
                Err(failure) => Err(failure),
            },
        }
        .map_err(|failure| Doubt {
            message: format!("{reference}: {}: {}", failure.code, failure.message),
            ..doubt(failure)
        })
    }
}

async fn parameter(there: &Inner, name: &str) -> Result<Secret, Failure> {
    const CALL: &str = "ssm:GetParameter";
    let answer = there
        .ssm
        .get_parameter()
        .name(name)
        .with_decryption(true)
        .send()
        .await
        .named(CALL)?;
    let value = answer.parameter.and_then(|parameter| parameter.value);
    some(CALL, "value", value).map(Secret::new)
}

const GET_SECRET: &str = "secretsmanager:GetSecretValue";

async fn managed(there: &Inner, arn: &str, stage: Option<&str>, version: Option<&str>) -> Result<Secret, Failure> {
    let answer = there
        .secrets
        .get_secret_value()
        .secret_id(arn)
        .set_version_stage(stage.map(ToOwned::to_owned))
        .set_version_id(version.map(ToOwned::to_owned))
        .send()
        .await
        .named(GET_SECRET)?;
    match answer.secret_string {
        Some(text) => Ok(Secret::new(text)),
        None => Err(useless("it is binary, and a password is a text")),
    }
}

/// The whole text, or one value of the JSON object that it is.
fn picked(text: Secret, key: Option<&str>) -> Result<Secret, Failure> {
    let Some(key) = key else { return Ok(text) };
    let Ok(mut object) = serde_json::from_str::<Map<String, Value>>(text.expose()) else {
        return Err(useless(&format!(
            "it is no JSON object, and `{key}` of one is asked for"
        )));
    };
    match object.remove(key) {
        Some(Value::String(value)) => Ok(Secret::new(value)),
        Some(_) => Err(useless(&format!("`{key}` in it is no text"))),
        None => Err(useless(&format!("there is no `{key}` in it"))),
    }
}

fn useless(why: &str) -> Failure {
    Failure {
        call: GET_SECRET.to_owned(),
        kind: FailureKind::Rejected,
        code: "UselessSecret".to_owned(),
        message: why.to_owned(),
    }
}
