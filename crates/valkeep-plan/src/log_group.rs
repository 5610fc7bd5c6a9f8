//! Plans the log group. One that exists is used as it is.

use crate::draft::{Draft, Input};
use valkeep_core::{Fact, Resource, Step};

/// Plans the log group.
pub(crate) fn log_group(input: Input, draft: &mut Draft) {
    let Some(created) = input.desired.created() else {
        return; // The definition's maintainer looks after its logs.
    };
    let spec = &created.log_group;
    match &input.observed.log_group {
        Fact::Unknown(doubt) => draft.doubt(Resource::LogGroup, &format!("the log group {}", spec.name), doubt),
        Fact::Absent => draft.step(Step::CreateLogGroup {
            name: spec.name.clone(),
            retention_days: spec.retention_days,
            tags: input.desired.tags.clone(),
        }),
        Fact::Present(found) if !input.owns(&found.tags) => {}
        Fact::Present(found) if found.retention_days != Some(spec.retention_days) => draft.step(Step::PutRetention {
            name: spec.name.clone(),
            from: found.retention_days,
            to: spec.retention_days,
        }),
        Fact::Present(found) => {
            let set = input.missing_tags(&found.tags);
            if !set.is_empty() {
                draft.step(Step::Tag {
                    resource: Resource::LogGroup,
                    id: spec.name.clone(),
                    set,
                    remove: Vec::new(),
                });
            }
        }
    }
}
