//! The operations of Parameter Store.

use super::{Kind, Parameter, Tier, Version};
use crate::clock::epoch_seconds;
use crate::error::ApiError;
use crate::state::State;
use crate::wire::{boolean, list, number, required, strings, tag_list, tags, text, unknown_operation};
use serde_json::{Value, json};
use std::collections::VecDeque;

const VERSIONS_KEPT: usize = 100;
const LEVELS_MAX: usize = 15;
const NAME_LENGTH_MAX: usize = 1011;

/// Answers one operation.
pub(crate) fn call(state: &mut State, operation: &str, input: &Value) -> Result<Value, ApiError> {
    match operation {
        "PutParameter" => put(state, input),
        "GetParameter" => get(state, input),
        "GetParameters" => get_many(state, input),
        "GetParametersByPath" => by_path(state, input),
        "GetParameterHistory" => history(state, input),
        "DeleteParameter" => {
            let name = required(input, "Name")?;
            state
                .ssm
                .parameters
                .remove(name)
                .map(|_| json!({}))
                .ok_or_else(|| missing(name))
        }
        "DeleteParameters" => {
            let (gone, invalid): (Vec<String>, Vec<String>) = strings(input, "Names")
                .into_iter()
                .partition(|name| state.ssm.parameters.remove(name).is_some());
            Ok(json!({ "DeletedParameters": gone, "InvalidParameters": invalid }))
        }
        "DescribeParameters" => describe(state, input),
        "AddTagsToResource" => {
            let added = tags(input, "Tags");
            tagged(state, input)?.tags.extend(added);
            Ok(json!({}))
        }
        "RemoveTagsFromResource" => {
            let keys = strings(input, "TagKeys");
            tagged(state, input)?.tags.retain(|key, _| !keys.contains(key));
            Ok(json!({}))
        }
        "ListTagsForResource" => Ok(json!({ "TagList": tag_list(&tagged(state, input)?.tags, "Key", "Value") })),
        _ => Err(unknown_operation(operation)),
    }
}

fn put(state: &mut State, input: &Value) -> Result<Value, ApiError> {
    let (name, value) = (required(input, "Name")?, required(input, "Value")?);
    check_name(name)?;
    if value.contains("{{") && value.contains("}}") {
        let words = "Parameter value can't nest another parameter. Don't use \"{{}}\" in the value.";
        return Err(ApiError::bad("ValidationException", words));
    }
    let present = state.ssm.parameters.get(name);
    let kind = match (text(input, "Type"), present) {
        (Some("String"), _) => Kind::String,
        (Some("StringList"), _) => Kind::StringList,
        (Some("SecureString"), _) => Kind::SecureString,
        (Some(other), _) => {
            return Err(ApiError::bad(
                "UnsupportedParameterType",
                format!("The parameter type {other} is not supported."),
            ));
        }
        (None, Some(present)) => present.latest().kind,
        (None, None) => {
            let words = "A parameter type is required when you create a parameter.";
            return Err(ApiError::bad("ValidationException", words));
        }
    };
    let usual = present.map_or(Tier::Standard, |present| present.latest().tier);
    let tier = match text(input, "Tier") {
        Some("Advanced") => Tier::Advanced,
        Some("Intelligent-Tiering") if value.len() > Tier::Standard.length_max() => Tier::Advanced,
        // There is no way back to Standard but to delete.
        Some("Standard") | None => usual,
        Some(_) => Tier::Standard,
    };
    if value.len() > tier.length_max() {
        let words = match tier {
            Tier::Standard => {
                "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
            }
            Tier::Advanced => "Advanced tier parameters support a maximum parameter value of 8192 characters.",
        };
        return Err(ApiError::bad("ValidationException", words));
    }
    if present.is_some() {
        if boolean(input, "Overwrite") != Some(true) {
            let words = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.";
            return Err(ApiError::bad("ParameterAlreadyExists", words));
        }
        if !list(input, "Tags").is_empty() {
            let words = "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.";
            return Err(ApiError::bad("ValidationException", words));
        }
    }
    let now = state.now;
    let parameter = state
        .ssm
        .parameters
        .entry(name.to_owned())
        .or_insert_with(|| Parameter {
            description: None,
            tags: tags(input, "Tags"),
            versions: VecDeque::new(),
        });
    if let Some(description) = text(input, "Description") {
        parameter.description = Some(description.to_owned());
    }
    let number = parameter.versions.back().map_or(1, |version| version.number + 1);
    let value = value.to_owned();
    parameter.versions.push_back(Version {
        number,
        value,
        kind,
        tier,
        modified_at: now,
        labels: Vec::new(),
    });
    if parameter.versions.len() > VERSIONS_KEPT {
        parameter.versions.pop_front();
    }
    Ok(json!({ "Version": number, "Tier": tier.as_str() }))
}

fn get(state: &State, input: &Value) -> Result<Value, ApiError> {
    let selector = required(input, "Name")?;
    let (name, version) = find(state, selector)?;
    let mut view = view(state, name, version, input);
    if let Some((_, selector)) = selector.split_once(':') {
        view["Selector"] = json!(format!(":{selector}"));
    }
    Ok(json!({ "Parameter": view }))
}

/// A parameter's value in clear, as ECS reads it for a container.
pub(crate) fn plain(state: &State, name: &str) -> Result<String, String> {
    let (_, version) = find(state, name).map_err(|_| format!("invalid ssm parameters: {name}"))?;
    Ok(version.value.clone())
}

fn get_many(state: &State, input: &Value) -> Result<Value, ApiError> {
    let names = strings(input, "Names");
    if names.len() > 10 {
        let words = "1 validation error detected: Value at 'names' failed to satisfy constraint: Member must have length less than or equal to 10";
        return Err(ApiError::bad("ValidationException", words));
    }
    let (mut found, mut invalid) = (Vec::new(), Vec::new());
    for selector in names {
        match find(state, &selector) {
            Ok((name, version)) => found.push(view(state, name, version, input)),
            Err(_) => invalid.push(selector),
        }
    }
    Ok(json!({ "Parameters": found, "InvalidParameters": invalid }))
}

fn by_path(state: &State, input: &Value) -> Result<Value, ApiError> {
    let path = required(input, "Path")?;
    if !path.starts_with('/') {
        let words = format!(
            "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol \"/\". Valid example: /get/parameters2-/by1./path0_. Got {path}"
        );
        return Err(ApiError::bad("ValidationException", words));
    }
    let limit = match number(input, "MaxResults") {
        None => 10,
        Some(limit @ 1..=10) => usize::try_from(limit).unwrap_or(10),
        Some(limit) => {
            let words = format!(
                "1 validation error detected: Value '{limit}' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 10"
            );
            return Err(ApiError::bad("ValidationException", words));
        }
    };
    // AWS may answer with fewer than were asked for, even none, and still have more.
    let limit = if state.config.knobs.short_pages {
        limit / 2
    } else {
        limit
    };
    let folder = if path.ends_with('/') {
        path.to_owned()
    } else {
        format!("{path}/")
    };
    let recursive = boolean(input, "Recursive") == Some(true);
    let after = token(input)?;
    let mut rest = state.ssm.parameters.iter().filter(|(name, _)| {
        name.strip_prefix(&folder)
            .is_some_and(|rest| recursive || !rest.contains('/'))
            && after.as_ref().is_none_or(|Token { name: after, .. }| *name > after)
    });
    // A page of none after one of some, so that a caller that takes an empty page for the end is caught.
    let empty = state.config.knobs.short_pages && after.as_ref().is_none_or(|token| !token.empty_was_given);
    let page: Vec<_> = rest.by_ref().take(if empty { 0 } else { limit.max(1) }).collect();
    let views: Vec<Value> = page
        .iter()
        .map(|(name, parameter)| view(state, name, parameter.latest(), input))
        .collect();
    let mut answer = json!({ "Parameters": views });
    if rest.next().is_some() {
        let last = page
            .last()
            .map(|(name, _)| (*name).clone())
            .or(after.map(|token| token.name))
            .unwrap_or_default();
        answer["NextToken"] = json!(format!("{}|{last}", u8::from(empty)));
    }
    Ok(answer)
}

fn history(state: &State, input: &Value) -> Result<Value, ApiError> {
    let name = required(input, "Name")?;
    let parameter = state.ssm.parameters.get(name).ok_or_else(|| missing(name))?;
    let limit = number(input, "MaxResults")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(50)
        .clamp(1, 50);
    let after: i64 = text(input, "NextToken")
        .and_then(|token| token.parse().ok())
        .unwrap_or(0);
    let mut rest = parameter.versions.iter().filter(|version| version.number > after);
    let page: Vec<&Version> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(page.last()).map(|version| version.number.to_string());
    let views: Vec<Value> = page
        .into_iter()
        .map(|version| {
            let mut view = metadata(state, name, parameter, version);
            view["Value"] = json!(value(version, input));
            view["Labels"] = json!(version.labels);
            view
        })
        .collect();
    let mut answer = json!({ "Parameters": views });
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn describe(state: &State, input: &Value) -> Result<Value, ApiError> {
    let limit = number(input, "MaxResults")
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(50)
        .clamp(1, 50);
    let after = text(input, "NextToken").unwrap_or_default();
    let filters = list(input, "ParameterFilters");
    for filter in filters {
        if !matches!(text(filter, "Key"), Some("Name" | "Path" | "Type")) {
            let words = "The specified key isn't valid.";
            return Err(ApiError::bad("InvalidFilterKey", words));
        }
    }
    let mut rest = state.ssm.parameters.iter().filter(|(name, parameter)| {
        name.as_str() > after && filters.iter().all(|filter| accepts(filter, name, parameter))
    });
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(page.last()).map(|(name, _)| (*name).clone());
    let views: Vec<Value> = page
        .into_iter()
        .map(|(name, parameter)| metadata(state, name, parameter, parameter.latest()))
        .collect();
    let mut answer = json!({ "Parameters": views });
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn accepts(filter: &Value, name: &str, parameter: &Parameter) -> bool {
    let option = text(filter, "Option").unwrap_or("Equals");
    strings(filter, "Values")
        .iter()
        .any(|value| match (text(filter, "Key"), option) {
            (Some("Name"), "BeginsWith") => name.starts_with(value.as_str()),
            (Some("Name"), "Contains") => name.contains(value.as_str()),
            (Some("Name"), _) => name == value,
            (Some("Path"), option) => name
                .strip_prefix(value.trim_end_matches('/'))
                .and_then(|rest| rest.strip_prefix('/'))
                .is_some_and(|rest| option == "Recursive" || !rest.contains('/')),
            (Some("Type"), _) => parameter.latest().kind.as_str() == value,
            _ => false,
        })
}

/// Where a listing by path goes on.
struct Token {
    name: String,
    /// The page before was one of none.
    empty_was_given: bool,
}

fn token(input: &Value) -> Result<Option<Token>, ApiError> {
    let Some(token) = text(input, "NextToken") else {
        return Ok(None);
    };
    let parts = token.split_once('|');
    let (flag, name) = parts.ok_or_else(|| ApiError::bad("InvalidNextToken", "The specified token isn't valid."))?;
    Ok(Some(Token {
        name: name.to_owned(),
        empty_was_given: flag == "1",
    }))
}

/// `name`, `name:version` or `name:label`; also an ARN in place of the name.
fn find<'a>(state: &'a State, selector: &str) -> Result<(&'a str, &'a Version), ApiError> {
    let selector = match selector.split_once(":parameter/") {
        Some((_, name)) => format!("/{name}"),
        None => selector.to_owned(),
    };
    let (name, wanted) = match selector.split_once(':') {
        Some((name, wanted)) => (name, Some(wanted)),
        None => (selector.as_str(), None),
    };
    let (name, parameter) = state.ssm.parameters.get_key_value(name).ok_or_else(|| missing(name))?;
    let version = match wanted {
        None => Some(parameter.latest()),
        Some(wanted) => parameter.versions.iter().find(|version| {
            wanted.parse().is_ok_and(|number: i64| version.number == number)
                || version.labels.iter().any(|label| label == wanted)
        }),
    };
    let version = version.ok_or_else(|| {
        let wanted = wanted.unwrap_or_default();
        let words =
            format!("Systems Manager could not find version {wanted} of {name}. Verify the version and try again.");
        ApiError::bad("ParameterVersionNotFound", words)
    })?;
    Ok((name, version))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let characters = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c));
    let first = name.trim_start_matches('/').to_ascii_lowercase();
    let levels = name.split('/').filter(|level| !level.is_empty()).count();
    if levels > LEVELS_MAX {
        let words = "A hierarchy can have a maximum of 15 levels.";
        return Err(ApiError::bad("HierarchyLevelLimitExceededException", words));
    }
    let valid = characters
        && name.len() <= NAME_LENGTH_MAX
        && !first.starts_with("aws")
        && !first.starts_with("ssm")
        && (name.starts_with('/') || !name.contains('/'))
        && !name.ends_with('/');
    if valid {
        return Ok(());
    }
    let words = "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_";
    Err(ApiError::bad("ValidationException", words))
}

fn tagged<'a>(state: &'a mut State, input: &Value) -> Result<&'a mut Parameter, ApiError> {
    let id = required(input, "ResourceId")?;
    let wrong = || {
        ApiError::bad(
            "InvalidResourceId",
            "The resource ID isn't valid. Verify that you entered the correct ID and try again.",
        )
    };
    state.ssm.parameters.get_mut(id).ok_or_else(wrong)
}

fn missing(name: &str) -> ApiError {
    ApiError::bad("ParameterNotFound", format!("Parameter {name} not found."))
}

/// A secret that nobody asked to decrypt stays one.
fn value(version: &Version, input: &Value) -> String {
    if version.kind == Kind::SecureString && boolean(input, "WithDecryption") != Some(true) {
        return format!("AQICAHencrypted-version-{}", version.number);
    }
    version.value.clone()
}

fn view(state: &State, name: &str, version: &Version, input: &Value) -> Value {
    json!({
        "Name": name, "Type": version.kind.as_str(), "Value": value(version, input), "Version": version.number,
        "LastModifiedDate": epoch_seconds(version.modified_at), "ARN": arn(state, name), "DataType": "text",
    })
}

fn metadata(state: &State, name: &str, parameter: &Parameter, version: &Version) -> Value {
    let mut view = json!({
        "Name": name, "ARN": arn(state, name), "Type": version.kind.as_str(), "Version": version.number,
        "LastModifiedDate": epoch_seconds(version.modified_at), "LastModifiedUser": "localaws",
        "Tier": version.tier.as_str(), "Policies": [], "DataType": "text",
    });
    if let Some(description) = &parameter.description {
        view["Description"] = json!(description);
    }
    view
}

fn arn(state: &State, name: &str) -> String {
    state.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        assert!(check_name("/valkeep/docs/a.yaml").is_ok() && check_name("plain").is_ok());
        for name in ["/aws/x", "ssm-x", "a/b", "/a/", "/a b", &"/a".repeat(16)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_parameter_can_be_found_by_its_arn() {
        let mut state = State::new(std::sync::Arc::default());
        call(
            &mut state,
            "PutParameter",
            &json!({ "Name": "/a/b", "Value": "1", "Type": "String" }),
        )
        .unwrap();
        let arn = arn(&state, "/a/b");
        let found = call(&mut state, "GetParameter", &json!({ "Name": arn })).unwrap();
        assert_eq!(found["Parameter"]["Value"], "1");
    }
}
