//! A CloudFormation template, as far as ours go: resources, parameters, and the functions `Ref`, `Sub` and `GetAtt`.

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value as Json};
use serde_yaml::Value as Yaml;
use std::collections::BTreeMap;
use std::path::Path;

/// What names stand for: parameters, `AWS::Region` and the like, resources, and attributes like `Role.Arn`.
pub type Names = BTreeMap<String, Json>;

/// A template.
#[derive(Debug)]
pub struct Template {
    document: Yaml,
}

impl Template {
    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Self {
            document: serde_yaml::from_str(&text)?,
        })
    }

    /// The defaults of the parameters that have one.
    pub fn defaults(&self) -> Result<Names> {
        let parameters = self.document["Parameters"].as_mapping().context("no parameters")?;
        let mut names = Names::new();
        for (name, parameter) in parameters {
            if let Some(default) = parameter.get("Default") {
                let name = name.as_str().context("a name is text")?;
                names.insert(name.to_owned(), resolve(default, &Names::new())?);
            }
        }
        Ok(names)
    }

    /// The properties of a resource, with every function resolved.
    pub fn properties(&self, resource: &str, names: &Names) -> Result<Json> {
        let found = &self.document["Resources"][resource]["Properties"];
        if found.is_null() {
            bail!("the template has no resource {resource}");
        }
        resolve(found, names).with_context(|| format!("in {resource}"))
    }
}

/// The same with the first letter of every key in lower case, as APIs have it. What users name themselves, options of a log
/// driver, stays.
pub fn as_request(value: Json) -> Json {
    match value {
        Json::Object(members) => members
            .into_iter()
            .map(|(key, value)| {
                let value = if key == "Options" { value } else { as_request(value) };
                (lower(&key), value)
            })
            .collect::<Map<_, _>>()
            .into(),
        Json::Array(items) => items.into_iter().map(as_request).collect(),
        other => other,
    }
}

fn lower(key: &str) -> String {
    let mut letters = key.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().chain(letters).collect())
        .unwrap_or_default()
}

fn resolve(value: &Yaml, names: &Names) -> Result<Json> {
    let known = |name: &str| {
        let found = names.get(name).cloned();
        found.with_context(|| format!("`{name}` is not known"))
    };
    Ok(match value {
        Yaml::Tagged(tagged) => {
            let text = tagged.value.as_str().context("a function of a text")?;
            match tagged.tag.to_string().as_str() {
                "!Ref" | "!GetAtt" => known(text)?,
                "!Sub" => {
                    let mut done = String::new();
                    let mut rest = text;
                    while let Some((before, after)) = rest.split_once("${") {
                        let (name, left) = after.split_once('}').context("${ without }")?;
                        let value = known(name)?;
                        done.push_str(before);
                        done.push_str(value.as_str().with_context(|| format!("`{name}` is not a text"))?);
                        rest = left;
                    }
                    (done + rest).into()
                }
                other => bail!("the function {other} is not known"),
            }
        }
        Yaml::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| {
                Ok((
                    key.as_str().context("a key is text")?.to_owned(),
                    resolve(value, names)?,
                ))
            })
            .collect::<Result<Map<_, _>>>()?
            .into(),
        Yaml::Sequence(items) => items.iter().map(|item| resolve(item, names)).collect::<Result<_>>()?,
        scalar => serde_json::to_value(scalar)?,
    })
}
