//! With real tasks the scheduler also runs when nobody asks; and everything ends when this AWS does.

use crate::LocalAws;
use crate::tasks::{Child, Stop, TaskRunner};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What servers get to save and leave when this AWS shuts down.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// What the kernel gets to end a killed process.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// Starts the thread that runs the scheduler, once, when tasks are real. It ends with this AWS.
pub(super) fn ensure(aws: &LocalAws) {
    let config = aws.config();
    if config.tasks != TaskRunner::Processes || std::mem::replace(&mut aws.state().ecs.has_ticker, true) {
        return;
    }
    let period = Duration::try_from_secs_f64(config.delays.scheduler)
        .unwrap_or_default()
        .max(Duration::from_millis(10));
    let (inner, shared) = (Arc::downgrade(&aws.inner), Arc::downgrade(&aws.shared));
    thread::spawn(move || {
        loop {
            thread::sleep(period);
            let (Some(inner), Some(shared)) = (inner.upgrade(), shared.upgrade()) else {
                return;
            };
            super::tick(&LocalAws { shared, inner });
        }
    });
}

/// Ends every task and waits until their processes are gone: first as ECS would, then by force.
pub(crate) async fn shutdown(aws: &LocalAws) {
    let children: Vec<Child> = {
        let state = &mut *aws.state();
        state.ecs.is_closed = true;
        let containers = state.ecs.tasks.values_mut().flat_map(|task| &mut task.containers);
        containers
            .filter_map(|container| container.child.take())
            .chain(state.ecs.lost.drain(..).map(|(_, child)| child))
            .collect()
    };
    if children.is_empty() {
        return;
    }
    let ended = tokio::task::spawn_blocking(move || end(&children));
    if let Err(error) = ended.await {
        tracing::error!(%error, "cannot wait for the tasks to end");
    }
}

fn end(children: &[Child]) {
    for child in children {
        child.stop(Stop::Please);
    }
    let deadline = std::time::Instant::now() + SHUTDOWN_GRACE;
    for child in children {
        child.wait(deadline.saturating_duration_since(std::time::Instant::now()));
    }
    let left: Vec<&Child> = children.iter().filter(|child| child.exit().is_none()).collect();
    for child in &left {
        child.stop(Stop::Now);
    }
    for child in left {
        child.wait(KILL_GRACE);
    }
}
