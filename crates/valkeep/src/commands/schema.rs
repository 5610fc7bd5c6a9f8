//! `valkeep schema`: what documents look like, for editors and for Kubernetes' tools.

use crate::cli::SchemaArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::Out;

/// Prints the JSON Schema or the CRD-shaped manifest.
pub(crate) fn schema(args: &SchemaArgs) -> Result<Exit, CommandError> {
    let mut out = Out::stdout();
    if args.crd {
        out.text(&valkeep_document::crd_yaml())?;
    } else {
        out.json(&valkeep_document::json_schema())?;
    }
    Ok(Exit::Ok)
}
