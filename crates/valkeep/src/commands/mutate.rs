//! `valkeep mutate`: lays a document's persistence over a task definition, offline. For pipelines, which deploy the result
//! instead of their own definition and so never run the cache without its directory.

use crate::cli::MutateArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::input::File;
use crate::output::Out;
use serde_json::Value;
use std::io::Read;
use std::path::Path;
use valkeep_core::desired::{Persistence, Snapshots};
use valkeep_core::identity::OVERLAY_VOLUME;
use valkeep_core::task_definition::EfsVolume;
use valkeep_core::{Desired, Limits, RawDefinition, Scope};
use valkeep_plan::overlay::{Overlay, Refusal, lay_over, take_off};

/// A task definition has at most 64 KiB; what is longer is none.
const DEFINITION_LIMIT: u64 = 1024 * 1024;

/// Prints the definition with persistence on it.
pub(crate) fn mutate(args: &MutateArgs) -> Result<Exit, CommandError> {
    let document = File::new(&args.document).document()?;
    // Nothing that is laid over depends on where or as whom.
    let scope = Scope {
        partition: "aws".to_owned(),
        account: "000000000000".to_owned(),
        region: document.spec.region.clone().unwrap_or_else(|| "us-east-1".to_owned()),
        installation: "default".to_owned(),
        dns_grace_s: 0,
        limits: Limits::default(),
    };
    let desired = document.desired(&scope, 0).map_err(crate::input::invalid)?;
    if desired.created().is_some() {
        return Err(
            CommandError::user("the document makes its service itself, definition and all")
                .hint("take spec.service.create out of it, if the definition is a pipeline's"),
        );
    }
    let definition = read(&args.definition)?;
    let base = if valkeep_plan::overlay::carries_overlay(&definition) {
        take_off(&definition).ok_or_else(|| {
            CommandError::user("the definition carries valkeep's lock and no label that says what stood there before")
                .hint("give the pipeline's own definition")
        })?
    } else {
        definition
    };
    let result = match &desired.persistence {
        Persistence::Disabled => base,
        Persistence::Mounted(snapshots) => laid_over(args, &desired, snapshots, &base)?,
    };
    Out::stdout().json(&result.registration())?;
    Ok(Exit::Ok)
}

fn laid_over(
    args: &MutateArgs,
    desired: &Desired,
    snapshots: &Snapshots,
    base: &RawDefinition,
) -> Result<RawDefinition, CommandError> {
    let volume = EfsVolume {
        name: OVERLAY_VOLUME.to_owned(),
        file_system: given(
            "--file-system",
            args.file_system.as_ref(),
            desired.file_system.taken.as_ref(),
        )?,
        access_point: given(
            "--access-point",
            args.access_point.as_ref(),
            desired.access_point.taken.as_ref(),
        )?,
    };
    let spec = &desired.access_point;
    let role = match &args.task_role_arn {
        Some(arn) => arn.clone(),
        // Only its name is compared with the definition's own.
        None if base.text("taskRoleArn").is_some() => format!("role/{}", desired.task_role.name),
        None => {
            return Err(CommandError::user(
                "the definition has no task role, and the task needs one to mount its directory",
            )
            .hint("give --task-role-arn with the ARN of the document's spec.taskRole.name"));
        }
    };
    lay_over(
        base,
        &Overlay {
            server: &desired.server,
            snapshots,
            volume: &volume,
            path: &spec.path,
            user: &format!("{}:{}", spec.uid, spec.gid),
            role_arn: &role,
            stale_before: None,
            restart: desired.restart.as_deref(),
        },
    )
    .map_err(|refusal| {
        let Refusal { message, hint, .. } = refusal;
        CommandError::user(message).hint(hint)
    })
}

/// An id from the command line, or else from the document, which has it where it takes what exists.
fn given<T: Clone>(flag: &str, argument: Option<&T>, document: Option<&T>) -> Result<T, CommandError> {
    argument.or(document).cloned().ok_or_else(|| {
        CommandError::usage(format!("{flag} is missing, and the document does not name it either"))
            .hint("`valkeep status NAME` shows file system and access point of a document")
    })
}

/// A registration's input, or the answer of `aws ecs describe-task-definition`.
fn read(path: &Path) -> Result<RawDefinition, CommandError> {
    let name = if path == Path::new("-") {
        "<stdin>".to_owned()
    } else {
        path.display().to_string()
    };
    let failed = |error: std::io::Error| CommandError::user(error).while_(format!("cannot read {name}"));
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(DEFINITION_LIMIT).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(DEFINITION_LIMIT).read_to_string(&mut text))
    }
    .map_err(failed)?;
    let mut value: Value =
        serde_json::from_str(&text).map_err(|error| CommandError::user(error).while_(format!("{name} is not JSON")))?;
    if let Some(described) = value.get_mut("taskDefinition") {
        value = described.take();
    }
    RawDefinition::new(value)
        .filter(|definition| !definition.containers().is_empty())
        .ok_or_else(|| {
            CommandError::user(format!("{name} is no task definition: it has no containerDefinitions"))
                .hint("give the input of `aws ecs register-task-definition`, or what describe-task-definition prints")
        })
}
