//! Documents and status as SSM parameters.
//!
//! Every parameter below the path is a document, whatever its name's ending. A listing brings the bodies along, so
//! fetching costs nothing more.
//!
//! The Parameter Store has no compare-and-swap. Writing a status reads its version first and refuses when it is not the
//! expected one; between that look and the write another writer can still slip in. Then the later write stays, the
//! next version shows that it happened, and it is logged. One controller per status path avoids it.

use super::{stem, store_error};
use crate::clients::Aws;
use crate::convert::unexpected;
use crate::error::Named;
use async_trait::async_trait;
use aws_sdk_ssm::types::{Parameter, ParameterHistory, ParameterTier, ParameterType};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use valkeep_core::failure::Failure;
use valkeep_store::{DocumentStore, Entry, Expect, StoreError, StoreUrl, StoredStatus, Written};

/// Pages of one listing, at most 10 parameters each and sometimes none: 10,000 parameters are a standard account's all.
const PAGES_MAX: usize = 2_000;
/// Pages of one parameter's history, 50 versions each; SSM keeps 100.
const HISTORY_PAGES_MAX: usize = 4;
/// Old versions of one document.
const HISTORY_MAX: usize = 10;
/// A standard parameter, in bytes.
const STANDARD_LIMIT: usize = 4_096;
/// An advanced parameter, in bytes.
const ADVANCED_LIMIT: usize = 8_192;

/// A path with documents, and another one with their status.
pub(super) struct SsmStore {
    aws: Aws,
    url: StoreUrl,
    path: String,
    status_path: String,
    /// Bodies of the last listing, by name and version.
    bodies: Mutex<BTreeMap<(String, i64), Vec<u8>>>,
}

impl SsmStore {
    pub(super) fn new(aws: Aws, path: String, status_path: String) -> Self {
        Self {
            aws,
            url: StoreUrl::Ssm { path: path.clone() },
            path,
            status_path,
            bodies: Mutex::default(),
        }
    }

    fn client(&self) -> &aws_sdk_ssm::Client {
        &self.aws.inner.ssm
    }

    /// One parameter, by name or `name:version`.
    async fn get(&self, name: &str) -> Result<Option<Parameter>, StoreError> {
        const CALL: &str = "ssm:GetParameter";
        let answer = self
            .client()
            .get_parameter()
            .name(name)
            .with_decryption(true)
            .send()
            .await
            .named(CALL);
        match answer {
            Err(failure) if is_gone(&failure) => Ok(None),
            Err(failure) => Err(store_error(name, failure)),
            Ok(answer) => match answer.parameter {
                Some(parameter) => Ok(Some(parameter)),
                None => Err(store_error(name, unexpected(CALL, "no parameter in the answer"))),
            },
        }
    }

    fn status_name(&self, stem: &str) -> String {
        format!("{}{}", self.status_path, spelled(stem))
    }
}

fn is_gone(failure: &Failure) -> bool {
    matches!(failure.code.as_str(), "ParameterNotFound" | "ParameterVersionNotFound")
}

#[async_trait]
impl DocumentStore for SsmStore {
    fn url(&self) -> &StoreUrl {
        &self.url
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        const CALL: &str = "ssm:GetParametersByPath";
        let mut entries = Vec::new();
        let mut bodies = BTreeMap::new();
        let mut page: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let answer = self
                .client()
                .get_parameters_by_path()
                // The service wants the path without its last slash.
                .path(match self.path.trim_end_matches('/') {
                    "" => "/",
                    path => path,
                })
                .recursive(true)
                .with_decryption(true)
                .max_results(10)
                .set_next_token(page)
                .send()
                .await
                .named(CALL)
                .map_err(|failure| store_error(&self.url.to_string(), failure))?;
            for parameter in answer.parameters() {
                let (Some(name), Some(value)) = (parameter.name(), parameter.value()) else {
                    continue;
                };
                bodies.insert((name.to_owned(), parameter.version()), value.as_bytes().to_vec());
                entries.push(entry(name, parameter.version(), false));
            }
            // A page may be empty and still not be the last.
            page = answer
                .next_token()
                .filter(|token| !token.is_empty())
                .map(ToOwned::to_owned);
            if page.is_none() {
                *self.bodies.lock().unwrap_or_else(PoisonError::into_inner) = bodies;
                entries.sort_by(|one, two| one.key.cmp(&two.key));
                return Ok(entries);
            }
        }
        Err(store_error(
            &self.url.to_string(),
            unexpected(CALL, "the listing does not end"),
        ))
    }

    async fn fetch(&self, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        let known = (entry.key.clone(), entry.generation);
        if let Some(body) = self.bodies.lock().unwrap_or_else(PoisonError::into_inner).get(&known) {
            return Ok(body.clone());
        }
        let found = self.get(&format!("{}:{}", entry.key, entry.revision)).await?;
        match found.and_then(|parameter| parameter.value) {
            Some(value) => Ok(value.into_bytes()),
            None => Err(StoreError::Gone { key: entry.key.clone() }),
        }
    }

    async fn history(&self, current: &Entry) -> Result<Vec<Entry>, StoreError> {
        let mut versions = Vec::new();
        let mut page: Option<String> = None;
        for _ in 0..HISTORY_PAGES_MAX {
            let answer = self
                .client()
                .get_parameter_history()
                .name(&current.key)
                .max_results(50)
                .set_next_token(page)
                .send()
                .await
                .named("ssm:GetParameterHistory");
            let answer = match answer {
                Err(failure) if is_gone(&failure) => break,
                answer => answer.map_err(|failure| store_error(&current.key, failure))?,
            };
            versions.extend(answer.parameters().iter().map(ParameterHistory::version));
            page = answer
                .next_token()
                .filter(|token| !token.is_empty())
                .map(ToOwned::to_owned);
            if page.is_none() {
                break;
            }
        }
        versions.retain(|version| *version < current.generation);
        versions.sort_unstable_by(|one, two| two.cmp(one));
        versions.truncate(HISTORY_MAX);
        Ok(versions
            .into_iter()
            .map(|version| entry(&current.key, version, true))
            .collect())
    }

    async fn put(&self, stem: &str, body: &[u8], over: Option<&Entry>) -> Result<Entry, StoreError> {
        const CALL: &str = "ssm:PutParameter";
        let there: Vec<Entry> = self
            .list()
            .await?
            .into_iter()
            .filter(|entry| entry.stem == stem)
            .collect();
        let name = match &there[..] {
            [] => format!("{}{stem}", self.path),
            [one] => one.key.clone(),
            [one, two, ..] => {
                return Err(StoreError::Failed {
                    call: CALL.to_owned(),
                    what: self.url.to_string(),
                    message: format!("both {} and {} are `{stem}`; remove one", one.key, two.key),
                });
            }
        };
        if over.is_some_and(|over| there.first() != Some(over)) {
            return Err(StoreError::Changed { key: name });
        }
        let value = text(&name, body, ADVANCED_LIMIT)?;
        let put = self.client().put_parameter().name(&name).value(&value).overwrite(true);
        // A parameter that exists keeps its type, so a SecureString stays one.
        let put = if there.is_empty() {
            put.r#type(ParameterType::String)
        } else {
            put
        };
        // Advanced parameters cost money: only a document that does not fit asks for one.
        let put = if value.len() > STANDARD_LIMIT {
            put.tier(ParameterTier::IntelligentTiering)
        } else {
            put
        };
        let answer = put
            .send()
            .await
            .named(CALL)
            .map_err(|failure| store_error(&name, failure))?;
        Ok(entry(&name, answer.version(), false))
    }

    async fn read_status(&self, stem: &str) -> Result<Option<StoredStatus>, StoreError> {
        Ok(self.get(&self.status_name(stem)).await?.map(|parameter| StoredStatus {
            tag: parameter.version().to_string(),
            body: parameter.value.unwrap_or_default().into_bytes(),
        }))
    }

    async fn write_status(&self, stem: &str, body: &[u8], expect: &Expect) -> Result<Written, StoreError> {
        const CALL: &str = "ssm:PutParameter";
        let name = self.status_name(stem);
        let value = text(&name, body, STANDARD_LIMIT)?;
        let put = self.aws.inner.once.ssm.put_parameter().name(&name).value(&value);
        let expected = match expect {
            Expect::Absent => {
                let answer = put
                    .r#type(ParameterType::String)
                    .overwrite(false)
                    .send()
                    .await
                    .named(CALL);
                return match answer {
                    // An earlier try, whose answer was lost, ends here, too.
                    Err(failure) if failure.code == "ParameterAlreadyExists" => self.settle(stem, &value).await,
                    Err(failure) => Err(store_error(&name, failure)),
                    Ok(answer) => Ok(Written::Yes(answer.version().to_string())),
                };
            }
            Expect::Tag(tag) => tag,
        };
        match self.read_status(stem).await? {
            Some(found) if found.tag == *expected => {}
            Some(found) if found.body == value.as_bytes() => return Ok(Written::Yes(found.tag)),
            _ => return Ok(Written::Conflict),
        }
        let answer = put
            .overwrite(true)
            .send()
            .await
            .named(CALL)
            .map_err(|failure| store_error(&name, failure))?;
        let version = answer.version();
        if expected.parse().is_ok_and(|before: i64| version != before + 1) {
            tracing::warn!(
                parameter = name,
                version,
                "another writer wrote this status at the same moment"
            );
        }
        Ok(Written::Yes(version.to_string()))
    }

    fn status_limit(&self) -> usize {
        STANDARD_LIMIT
    }
}

impl SsmStore {
    /// Looks into a write that met an existing parameter: our own bytes are our own write.
    async fn settle(&self, stem: &str, value: &str) -> Result<Written, StoreError> {
        Ok(match self.read_status(stem).await? {
            Some(found) if found.body == value.as_bytes() => Written::Yes(found.tag),
            _ => Written::Conflict,
        })
    }
}

fn entry(name: &str, version: i64, historic: bool) -> Entry {
    Entry {
        key: name.to_owned(),
        stem: stem(name).to_owned(),
        revision: version.to_string(),
        generation: version,
        historic,
    }
}

/// A value that SSM takes. `{{` would be taken for a reference to another parameter; in JSON it stands only within
/// strings, where `\u007b` says the same.
fn text(name: &str, body: &[u8], limit: usize) -> Result<String, StoreError> {
    let failed = |message: &str| StoreError::Failed {
        call: "ssm:PutParameter".to_owned(),
        what: name.to_owned(),
        message: message.to_owned(),
    };
    let text = std::str::from_utf8(body).map_err(|_| failed("a parameter holds text only"))?;
    let text = if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        text.replace("{{", "{\\u007b")
    } else if text.contains("{{") {
        return Err(failed("a parameter cannot hold `{{`, which refers to other parameters"));
    } else {
        text.to_owned()
    };
    if text.len() > limit {
        return Err(StoreError::TooLarge {
            what: name.to_owned(),
            bytes: text.len() as u64,
            limit: limit as u64,
        });
    }
    Ok(text)
}

/// A stem in the characters that parameter names have; others become `_` and their hexadecimal bytes.
fn spelled(stem: &str) -> String {
    let mut name = String::new();
    for byte in stem.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            write!(name, "_{byte:02x}").expect("writing to a string never fails");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_in_a_status_never_look_like_a_reference() {
        let body = br#"{"message":"a {{b}} c"}"#;
        let value = text("/s/a", body, STANDARD_LIMIT).expect("fits");
        assert!(!value.contains("{{"));
        let (stored, meant): (serde_json::Value, serde_json::Value) = (
            serde_json::from_str(&value).expect("JSON"),
            serde_json::from_slice(body).expect("JSON"),
        );
        assert_eq!(stored, meant);
        assert!(text("/d/a", b"a: {{b}}", STANDARD_LIMIT).is_err());
    }

    #[test]
    fn a_status_that_does_not_fit_is_refused_before_it_is_sent() {
        let long = format!("\"{}\"", "x".repeat(STANDARD_LIMIT));
        assert!(matches!(
            text("/s/a", long.as_bytes(), STANDARD_LIMIT),
            Err(StoreError::TooLarge { limit: 4_096, .. })
        ));
    }

    #[test]
    fn stems_become_parameter_names() {
        assert_eq!(spelled("cache-1.b_c"), "cache-1.b_c");
        assert_eq!(spelled("a b"), "a_20b");
    }
}
