//! The operator's settings: a file, and flags that stand before it.

use crate::cli::LimitArgs;
use crate::error::CommandError;
use crate::input::{File, invalid_settings};
use valkeep_core::limits::{Allowed, Kind, Limits, Pattern};

/// How far documents may reach. What a flag says of a kind stands in place of what the file says of it.
pub(crate) fn limits(args: &LimitArgs) -> Result<Limits, CommandError> {
    let LimitArgs {
        settings,
        allow_cluster,
        allow_role,
        allow_assume_role,
        allow_security_group,
        allow_image,
        allow_region,
    } = args;
    let mut limits = match settings {
        Some(path) => {
            let file = File::new(path);
            let bytes = file.bytes()?.map_err(invalid_settings)?;
            valkeep_document::read_settings(&file.name(), &bytes).map_err(invalid_settings)?
        }
        None => Limits::default(),
    };
    let mut flag = |kind: Kind, patterns: &[Pattern]| {
        if !patterns.is_empty() {
            *limits.of_mut(kind) = Allowed::only(patterns.to_vec());
        }
    };
    flag(Kind::Cluster, allow_cluster);
    flag(Kind::Role, allow_role);
    flag(Kind::AssumedRole, allow_assume_role);
    flag(Kind::SecurityGroup, allow_security_group);
    flag(Kind::Image, allow_image);
    flag(Kind::Region, allow_region);
    Ok(limits)
}

/// The kinds that are not limited, for people: `role, image`.
pub(crate) fn open(limits: &Limits) -> Option<String> {
    let open: Vec<String> = limits.open().iter().map(Kind::to_string).collect();
    (!open.is_empty()).then(|| open.join(", "))
}
