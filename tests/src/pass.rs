//! One pass by the project's own parts: look, then plan, check and act until no step is left. For suites that tell or
//! judge what a pass did; the loop itself is the engine's.

use crate::valkey::ToldValkey;
use anyhow::{Result, bail};
use valkeep_aws::Aws;
use valkeep_core::ports::World;
use valkeep_core::{Desired, Observed, Plan, Step, StepFailure, Timestamp};
use valkeep_engine::{Keyring, act_on, ask_server};
use valkeep_plan::{critic, fold, is_permitted, plan};

/// The chain of dependent steps is nine; twelve rounds leave room, as in the engine.
const ROUNDS_MAX: usize = 12;

/// What a pass found and did.
#[derive(Debug)]
pub struct Pass {
    /// What the document means.
    pub desired: Desired,
    /// As AWS answered, with the answers to this pass's own steps folded in.
    pub observed: Observed,
    /// The last plan.
    pub plan: Plan,
    /// Steps that were done.
    pub done: Vec<Step>,
    /// Steps that failed; the first of them ends the pass.
    pub failures: Vec<StepFailure>,
}

/// Runs one pass. An objection of the critic, and steps without end, are errors: no suite goes on after them.
pub async fn pass(
    world: &Aws,
    valkey: Option<&ToldValkey>,
    desired: Desired,
    now: impl Fn() -> Timestamp,
) -> Result<Pass> {
    let keyring = Keyring::default();
    let mut observed = if is_permitted(&desired) {
        world.observe(&desired).await
    } else {
        Observed::nothing()
    };
    if let Some(valkey) = valkey {
        ask_server(world, valkey, &keyring, &desired, &mut observed).await;
    }
    let mut pass = Pass {
        plan: plan(&desired, &observed, now()),
        desired,
        observed,
        done: Vec::new(),
        failures: Vec::new(),
    };
    for _ in 0..ROUNDS_MAX {
        if let Err(objections) = critic(&pass.desired, &pass.observed, &pass.plan) {
            bail!("the critic objects: {objections:?}");
        }
        if pass.plan.steps.is_empty() || !pass.failures.is_empty() {
            return Ok(pass);
        }
        for step in std::mem::take(&mut pass.plan.steps) {
            let done = match valkey {
                Some(valkey) => act_on(world, valkey, &keyring, &pass.desired, &step).await,
                None => world.act(&pass.desired, &step).await,
            };
            match done {
                Ok(done) => {
                    fold(&mut pass.observed, &step, &done);
                    pass.done.push(step);
                }
                Err(failure) => pass.failures.push(StepFailure { step, failure }),
            }
        }
        pass.plan = plan(&pass.desired, &pass.observed, now());
    }
    bail!("{ROUNDS_MAX} rounds, and still something to do: {:?}", pass.plan.steps)
}
