//! `valkeep plan`: what would be done for a document. Looks, decides, and never touches.

use crate::cli::PlanArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::{self, File};
use crate::output::Out;
use crate::output::plan::{self as view, PlanView};
use crate::values::TextOrJson;
use crate::{settings, stores, world};
use std::path::Path;
use valkeep_aws::Aws;
use valkeep_core::ports::{Clock, World};
use valkeep_core::{Desired, Observed};
use valkeep_document::Document;
use valkeep_engine::{Keyring, ask_server};

/// Shows the plan.
pub(crate) async fn plan(args: PlanArgs) -> Result<Exit, CommandError> {
    let limits = settings::limits(&args.limits)?;
    let (document, generation) = document(&args).await?;
    let aws = world::aws().await;
    let scope = world::scope(&aws, &args.scope, &limits).await?;
    let desired = document.desired(&scope, generation).map_err(input::invalid)?;
    let observed = observe(&aws, &Keyring::default(), &desired).await;
    let now = world::SystemClock.now();
    let forecast = valkeep_plan::forecast(&desired, &observed, now);
    let plan = PlanView::new(&desired, &observed, &forecast);
    let mut out = Out::stdout();
    match args.output {
        TextOrJson::Text => {
            let text = view::text(&plan, now, &out);
            out.text(&text)?;
        }
        TextOrJson::Json => out.json(&plan)?,
    }
    Ok(plan.exit())
}

/// From a file if there is one, else by name from the stores.
async fn document(args: &PlanArgs) -> Result<(Document, i64), CommandError> {
    let path = Path::new(&args.document);
    if args.document == "-" || path.exists() {
        // A file has no generation yet; nothing that is planned depends on it.
        return Ok((File::new(path).document()?, 0));
    }
    if args.stores.store.is_empty() {
        return Err(CommandError::user(format!("there is no file {}", args.document))
            .hint("for the name of a document in a store, give --store or set VALKEEP_STORE"));
    }
    let opened = stores::open(&args.stores).await?;
    let Some(found) = stores::find(&opened, &args.document).await? else {
        return Err(CommandError::user(format!(
            "there is neither a file nor a document in the store of the name `{}`",
            args.document
        ))
        .hint("`valkeep status` lists all documents"));
    };
    let document = valkeep_document::read(&found.place(), &found.body).map_err(input::invalid)?;
    Ok((document, found.entry.generation))
}

/// Everything that one document means, as it is.
pub(crate) async fn observe(aws: &Aws, keyring: &Keyring, desired: &Desired) -> Observed {
    if !valkeep_plan::is_permitted(desired) {
        return Observed::nothing();
    }
    let mut observed = aws.observe(desired).await;
    ask_server(aws, &world::servers(), keyring, desired, &mut observed).await;
    observed
}
