//! `spec.valkey`: settings of the server itself.

use super::super::forms;
use super::super::report::{Report, quote};
use super::super::walk::Field;
use super::access::{NO_PASSWORD, References, credentials, tls};
use super::optional;
use super::service::Task;
use crate::types::{MaxmemoryPolicy, Valkey};
use valkeep_core::units;

const POLICIES: &[(&str, MaxmemoryPolicy)] = &[
    ("noeviction", MaxmemoryPolicy::Noeviction),
    ("allkeys-lru", MaxmemoryPolicy::AllkeysLru),
    ("allkeys-lfu", MaxmemoryPolicy::AllkeysLfu),
    ("allkeys-random", MaxmemoryPolicy::AllkeysRandom),
    ("volatile-lru", MaxmemoryPolicy::VolatileLru),
    ("volatile-lfu", MaxmemoryPolicy::VolatileLfu),
    ("volatile-random", MaxmemoryPolicy::VolatileRandom),
    ("volatile-ttl", MaxmemoryPolicy::VolatileTtl),
];

pub(super) fn valkey(
    field: &Field<'_>,
    task: &Task,
    references: &mut References,
    report: &mut Report,
) -> Option<Valkey> {
    let mut map = field.map(report)?;
    let maxmemory = optional(map.take("maxmemory"), |field| {
        let text = field.text(report, forms::maxmemory)?;
        if let (Some(bytes), Some(mib)) = (units::bytes(&text), task.memory_mib)
            && bytes > u64::from(mib) << 20
        {
            field.say(
                report,
                format!(
                    "{} is more than the {mib} MiB of the task, which would be killed before Valkey reaches it",
                    quote(&text)
                ),
                "write less, about half of the task's memory, or raise `service.create.memoryMiB`",
            );
            return None;
        }
        Some(text)
    });
    let maxmemory_policy = optional(map.take("maxmemoryPolicy"), |field| field.choice(report, POLICIES, &[]));
    let credentials_from = optional(map.take("credentialsFrom"), |field| {
        credentials(&field, task, references, report)
    });
    let tls = optional(map.take("tls"), |field| tls(&field, task, references, report));
    map.finish(
        report,
        &[
            ("password", NO_PASSWORD),
            ("requirepass", NO_PASSWORD),
            ("credentials", NO_PASSWORD),
            ("auth", NO_PASSWORD),
        ],
    );
    Some(Valkey {
        maxmemory: maxmemory?,
        maxmemory_policy: maxmemory_policy?,
        credentials_from: credentials_from?,
        tls: tls?,
    })
}
