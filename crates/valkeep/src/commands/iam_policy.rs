//! `valkeep iam-policy`: what valkeep's own role needs, and no more.

use crate::cli::IamPolicyArgs;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output::{Out, talk};
use crate::{replicas, settings, stores, world};
use valkeep_aws::policy::{INLINE_MAX, MANAGED_MAX, Reach, length, policy};
use valkeep_core::Failure;

/// Prints the policy; how long it is and what is open goes to stderr.
pub(crate) async fn iam_policy(args: IamPolicyArgs) -> Result<Exit, CommandError> {
    let limits = settings::limits(&args.limits)?;
    let places = stores::places(&args.stores)?;
    if let Some(lease) = &args.lease {
        replicas::is_apart(lease, &places)?;
    }
    let stores = places
        .into_iter()
        .map(|place| (place.documents, place.status))
        .collect();
    let (partition, account, region) = match (args.account, args.region) {
        (Some(account), Some(region)) => (args.partition, account, region),
        (account, region) => {
            let here = here(&args.installation).await?;
            (
                here.partition,
                account.unwrap_or(here.account),
                region.unwrap_or(here.region),
            )
        }
    };
    let open = settings::open(&limits);
    let policy = policy(&Reach {
        partition,
        account,
        region,
        installation: args.installation,
        stores,
        lease: args.lease,
        limits,
    });
    Out::stdout().json(&policy)?;
    let length = length(&policy);
    talk(&match length {
        0..=MANAGED_MAX => format!("{length} characters: fits a managed policy, which takes {MANAGED_MAX}"),
        _ if length <= INLINE_MAX => format!(
            "{length} characters: more than the {MANAGED_MAX} of a managed policy; put it on the role inline, which takes \
             {INLINE_MAX}"
        ),
        _ => format!(
            "{length} characters: more than the {INLINE_MAX} that a role takes inline; give wider patterns, or put the \
             statements into several managed policies of {MANAGED_MAX}"
        ),
    });
    if let Some(open) = open {
        talk(&format!(
            "not limited, so the policy permits every: {open}; see --settings"
        ));
    }
    Ok(Exit::Ok)
}

async fn here(installation: &str) -> Result<valkeep_core::Scope, CommandError> {
    world::aws()
        .await
        .scope(installation, 0, valkeep_core::Limits::default())
        .await
        .map_err(|failure: Failure| world::no_scope(failure).hint("or give --account and --region"))
}
