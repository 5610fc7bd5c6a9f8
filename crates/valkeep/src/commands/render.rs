//! `valkeep render`: a document with every default filled in.

use crate::cli::RenderArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::File;
use crate::output::Out;
use crate::values::YamlOrJson;

/// Prints the document.
pub(crate) fn render(args: &RenderArgs) -> Result<Exit, CommandError> {
    let document = File::new(&args.file).document()?;
    let mut out = Out::stdout();
    match args.output {
        YamlOrJson::Yaml => out.text(&valkeep_document::render_yaml(&document))?,
        YamlOrJson::Json => out.json(&document)?,
    }
    Ok(Exit::Ok)
}
