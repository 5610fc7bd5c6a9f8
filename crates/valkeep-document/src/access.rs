//! How a document says what it takes to be let in: references to secrets, never a secret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use valkeep_core::SecretReference;
use valkeep_core::access::{AccessSpec, LoginSpec, TlsSpec, UserSpec};
use valkeep_core::secret_reference::SecretReferenceError;

/// Where a login lies: either `secretArn` or `ssmParameter`. The password itself never stands in a document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CredentialsFrom {
    /// ARN of a secret in Secrets Manager. Its text is the password, or a JSON object that has it under `passwordKey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 600),
        regex(pattern = "^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+$")
    )]
    pub secret_arn: Option<String>,
    /// Key of the user's name in the secret. Left out, it is `username`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[^:]+$"))]
    pub username_key: Option<String>,
    /// Key of the password in the secret. Left out, the secret's whole text is the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[^:]+$"))]
    pub password_key: Option<String>,
    /// Name or ARN of a parameter in SSM Parameter Store, of type SecureString, that holds the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1011), regex(pattern = "^[A-Za-z0-9/._:-]+$"))]
    pub ssm_parameter: Option<String>,
    /// Name of the ACL user whose password it is. Left out, it is the default user, whose password Valkey calls
    /// `requirepass`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_.@-]+$"))]
    pub username: Option<String>,
}

/// TLS between valkeep and a server that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerTls {
    /// `true`: `service.port` speaks TLS, and the server's certificate is checked.
    pub enabled: bool,
    /// Where the certificates of the authorities lie that may have signed the server's. Left out, they are those that the
    /// system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CaFrom")]
    pub ca_from: Option<CaFrom>,
    /// The name that the server's certificate is for. Left out, it must be for the task's IP address, which changes with
    /// every task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[A-Za-z0-9._-]+$"))]
    pub server_name: Option<String>,
}

/// Where certificates lie, as PEM: either `secretArn` or `ssmParameter`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CaFrom {
    /// ARN of a secret in Secrets Manager whose text they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 600),
        regex(pattern = "^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:]+$")
    )]
    pub secret_arn: Option<String>,
    /// Name or ARN of a parameter in SSM Parameter Store, of any type.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1011), regex(pattern = "^[A-Za-z0-9/._:-]+$"))]
    pub ssm_parameter: Option<String>,
}

/// Why a part of a document means no access: where, and what is wrong.
pub(crate) type Wrong = (&'static str, String);

/// What both mean together.
pub(crate) fn access(credentials: Option<&CredentialsFrom>, tls: Option<&ServerTls>) -> Result<AccessSpec, Wrong> {
    let tls = tls.filter(|tls| tls.enabled);
    Ok(AccessSpec {
        login: credentials.map(CredentialsFrom::login).transpose()?,
        tls: tls.map(ServerTls::spec).transpose()?,
    })
}

impl CredentialsFrom {
    fn login(&self) -> Result<LoginSpec, Wrong> {
        const HERE: &str = "spec.valkey.credentialsFrom";
        let wrong = |error: SecretReferenceError| (HERE, error.to_string());
        let Self {
            secret_arn,
            username_key,
            password_key,
            ssm_parameter,
            username,
        } = self;
        let named = username.clone().map(UserSpec::Named);
        match (secret_arn, ssm_parameter) {
            (Some(arn), None) => Ok(LoginSpec {
                user: match username_key {
                    Some(key) => Some(UserSpec::In(SecretReference::managed(arn, Some(key)).map_err(wrong)?)),
                    None => named,
                },
                password: SecretReference::managed(arn, password_key.as_deref()).map_err(wrong)?,
            }),
            (None, Some(parameter)) => Ok(LoginSpec {
                user: named,
                password: SecretReference::parse(parameter).map_err(wrong)?,
            }),
            (None, None) | (Some(_), Some(_)) => {
                Err((HERE, "must have either `secretArn` or `ssmParameter`".to_owned()))
            }
        }
    }
}

impl ServerTls {
    fn spec(&self) -> Result<TlsSpec, Wrong> {
        const HERE: &str = "spec.valkey.tls.caFrom";
        let ca = match &self.ca_from {
            None => None,
            Some(
                CaFrom {
                    secret_arn: Some(text),
                    ssm_parameter: None,
                }
                | CaFrom {
                    secret_arn: None,
                    ssm_parameter: Some(text),
                },
            ) => Some(SecretReference::parse(text).map_err(|error| (HERE, error.to_string()))?),
            Some(_) => return Err((HERE, "must have either `secretArn` or `ssmParameter`".to_owned())),
        };
        Ok(TlsSpec {
            ca,
            server_name: self.server_name.clone(),
        })
    }
}
