//! `valkeep status`: what is known of documents, once or as it changes.

use crate::cli::StatusArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::status::{self as view, Row};
use crate::output::{Out, talk};
use crate::stores::{self, Found};
use crate::values::TextJsonOrYaml;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use valkeep_core::Timestamp;
use valkeep_document::status::Status;
use valkeep_store::DocumentStore;

/// As many statuses are read at the same time.
const READS: usize = 16;

/// Prints the status of one document or of all.
pub(crate) async fn status(args: StatusArgs) -> Result<Exit, CommandError> {
    let opened = stores::open(&args.stores).await?;
    let mut out = Out::stdout();
    let mut shown = look(&opened, args.name.as_deref()).await?;
    show(&args, &shown, None, &mut out)?;
    while args.watch && !out.is_gone() {
        tokio::time::sleep(args.poll).await;
        match look(&opened, args.name.as_deref()).await {
            Ok(rows) => {
                show(&args, &rows, Some(&shown), &mut out)?;
                shown = rows;
            }
            // A store that is away for a moment does not end the watch.
            Err(error) => talk(&format!("cannot look: {error}")),
        }
    }
    Ok(Exit::Ok)
}

async fn look(opened: &[Arc<dyn DocumentStore>], name: Option<&str>) -> Result<Vec<Row>, CommandError> {
    match name {
        Some(name) => Ok(vec![one(opened, name).await?]),
        None => {
            stream::iter(stores::all(opened).await?)
                .map(row)
                .buffered(READS)
                .try_collect()
                .await
        }
    }
}

async fn one(opened: &[Arc<dyn DocumentStore>], name: &str) -> Result<Row, CommandError> {
    if let Some(found) = stores::find(opened, name).await? {
        return row(found).await;
    }
    // The document may be gone, and its status still tell what was left behind.
    for store in opened {
        if let Some(stored) = store.read_status(name).await? {
            return Ok(Row {
                name: name.to_owned(),
                place: None,
                revision: None,
                status: Status::from_json(&stored.body),
            });
        }
    }
    Err(CommandError::user(format!("there is no document `{name}` in the store")).hint("`valkeep status` lists all"))
}

async fn row(found: Found) -> Result<Row, CommandError> {
    let stored = found.store.read_status(&found.name).await?;
    Ok(Row {
        place: Some(found.place()),
        revision: Some(found.entry.revision),
        status: stored.and_then(|stored| Status::from_json(&stored.body)),
        name: found.name,
    })
}

/// Prints rows; with `before`, only those that changed.
fn show(args: &StatusArgs, rows: &[Row], before: Option<&[Row]>, out: &mut Out) -> Result<(), CommandError> {
    let changed: Vec<&Row> = match before {
        None => rows.iter().collect(),
        Some(before) => rows.iter().filter(|row| !before.contains(row)).collect(),
    };
    if let Some(before) = before {
        for gone in before.iter().filter(|old| rows.iter().all(|row| row.name != old.name)) {
            talk(&format!("{} is not there any more", gone.name));
        }
        if changed.is_empty() {
            return Ok(());
        }
    }
    let now = Timestamp::now();
    match (args.output, args.name.is_some()) {
        (TextJsonOrYaml::Text, true) => {
            for row in changed {
                out.text(&view::detail(row, now, out))?;
            }
        }
        (TextJsonOrYaml::Text, false) => out.text(&view::table(&changed, now, before.is_none(), out))?,
        (TextJsonOrYaml::Json, true) => {
            for row in changed {
                out.json(&view::value(row))?;
            }
        }
        (TextJsonOrYaml::Json, false) => out.json(&view::list_value(&changed))?,
        (TextJsonOrYaml::Yaml, true) => {
            for row in changed {
                yaml(out, &view::value(row))?;
            }
        }
        (TextJsonOrYaml::Yaml, false) => yaml(out, &view::list_value(&changed))?,
    }
    Ok(())
}

/// Begins each document with its marker, so that what a watch prints is a stream of them.
fn yaml(out: &mut Out, value: &serde_json::Value) -> Result<(), CommandError> {
    let text = serde_yaml::to_string(value).map_err(CommandError::bug)?;
    out.text(&format!("---\n{text}"))
}
