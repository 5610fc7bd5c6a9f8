//! `valkeep validate`: everything that is wrong with some documents, at once.

use crate::cli::ValidateArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input;
use crate::output::{Out, findings, talk};
use crate::values::TextOrJson;

/// Checks each document and prints the findings.
pub(crate) fn validate(args: &ValidateArgs) -> Result<Exit, CommandError> {
    let files = input::documents(&args.files)?;
    let mut found = Vec::new();
    for file in &files {
        if let Err(findings) = file.read()? {
            found.extend(findings.0);
        }
    }
    let mut out = Out::stdout();
    match args.output {
        TextOrJson::Text => {
            out.text(&findings::text(&found))?;
            talk(&findings::summary(files.len(), &found));
        }
        TextOrJson::Json => out.json(&findings::Report::new(files.len(), &found))?,
    }
    Ok(if found.is_empty() { Exit::Ok } else { Exit::Error })
}
