//! `valkeep apply`: checks a document, then writes it to a store.

use crate::cli::ApplyArgs;
use crate::commands::wait::{Version, Waiting, until};
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::File;
use crate::output::Out;
use crate::stores;
use crate::values::Want;
use valkeep_store::StoreUrl;

/// Writes the document, unless its very bytes are there already.
pub(crate) async fn apply(args: ApplyArgs) -> Result<Exit, CommandError> {
    let (document, body) = File::new(&args.file).document_and_bytes()?;
    let name = &document.metadata.name;
    let opened = stores::open(&args.stores).await?;
    let [store] = &opened[..] else {
        return Err(CommandError::usage(
            "a document is written to one store, and several were given",
        ));
    };
    let target = target_keys(store.url(), name);
    let mut before = None;
    for found in stores::all(&opened).await? {
        match (found.name == *name, target.contains(&found.entry.key)) {
            (true, true) => before = Some(found),
            (true, false) => {
                return Err(CommandError::user(format!(
                    "a document of the name `{name}` is in {} already, so both would be stalled",
                    found.place()
                ))
                .hint(format!(
                    "remove it, or give this one another metadata.name; `apply` writes {name}.yaml"
                )));
            }
            (false, true) => {
                return Err(
                    CommandError::user(format!("{} holds another document, `{}`", found.place(), found.name))
                        .hint("move it first: `apply` writes a document under its own name"),
                );
            }
            (false, false) => {}
        }
    }
    let mut out = Out::stdout();
    let entry = match before {
        Some(same) if same.body == body => {
            out.line(&format!("{name} unchanged: revision {}", same.entry.revision))?;
            same.entry
        }
        before => {
            let word = if before.is_some() { "changed" } else { "created" };
            let entry = store.put(name, &body, None).await?;
            out.line(&format!("{name} {word}: revision {}", entry.revision))?;
            entry
        }
    };
    if !args.wait {
        return Ok(Exit::Ok);
    }
    let waiting = Waiting {
        name,
        version: Version {
            revision: entry.revision,
            generation: Some(entry.generation),
        },
        // A document that asks for its deletion is never Ready.
        wants: if document.asks_for_deletion() {
            &[Want::DELETED]
        } else {
            &[Want::READY]
        },
        timeout: args.timeout,
        poll: args.poll,
        through_stalls: false,
    };
    until(&**store, &waiting).await
}

/// The keys that a store may write a document of this name under.
fn target_keys(url: &StoreUrl, name: &str) -> Vec<String> {
    match url {
        StoreUrl::S3 { prefix, .. } => vec![format!("{prefix}{name}.yaml")],
        // Parameters have no endings of their own; with and without are one to the store.
        StoreUrl::Ssm { path } => vec![format!("{path}{name}"), format!("{path}{name}.yaml")],
        StoreUrl::File { .. } => vec![format!("{name}.yaml")],
    }
}
