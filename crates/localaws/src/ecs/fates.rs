//! What befalls tasks: for tests, and for showing what a crash costs.

use super::lifecycle;
use crate::LocalAws;
use crate::tasks::Stop;
use std::time::Duration;

/// What befalls a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskFate {
    /// It stops before RUNNING with stop code `TaskFailedToStart` and this reason.
    FailsToStart(String),
    /// It runs for so long and exits with this code. Simulated tasks only.
    Exits(Duration, i32),
    /// Its health check fails, if it has one. Simulated tasks only.
    Unhealthy,
    /// It takes all of its stop timeout and is killed. Simulated tasks only.
    IgnoresSigterm,
}

impl LocalAws {
    /// This befalls the next task that is started and has no fate yet.
    pub fn next_task(&self, fate: TaskFate) {
        self.state().ecs.fates.push_back(fate);
    }

    /// This befalls every task started from now on that has no fate of its own.
    pub fn every_task(&self, fate: Option<TaskFate>) {
        self.state().ecs.common_fate = fate;
    }

    /// Ends a running task's containers as SIGKILL would. False where no such task (ARN or id) runs.
    pub fn kill_task(&self, task: &str) -> bool {
        let state = &mut *self.state();
        state.ecs.quiet_until = None;
        let found = state
            .ecs
            .tasks
            .values_mut()
            .find(|found| found.arn == task || found.id == task);
        let Some(task) = found.filter(|task| !task.is_over()) else {
            return false;
        };
        for container in &mut task.containers {
            match &container.child {
                Some(child) => child.stop(Stop::Now),
                None => container.exit_code = container.exit_code.or(Some(137)),
            }
        }
        true
    }

    /// While true, tasks that are to stop are taken for stopped while their processes live on, as when a container
    /// instance has lost its connection. They end with this AWS, or by [`LocalAws::end_lost`].
    pub fn set_partitioned(&self, partitioned: bool) {
        self.state().ecs.partitioned = partitioned;
    }

    /// ECS loses sight of a task: it is taken for stopped and replaced while its processes go on, as when the agent or
    /// the host is cut off. They end with this AWS, or by [`LocalAws::end_lost`]. False where no such task (ARN or id)
    /// is under way.
    pub fn lose_task(&self, task: &str) -> bool {
        let state = &mut *self.state();
        state.ecs.quiet_until = None;
        let mut tasks = state.ecs.tasks.values();
        let found = tasks.find(|found| found.arn == task || found.id == task);
        let Some(arn) = found.map(|task| task.arn.clone()) else {
            return false;
        };
        let mut task = state.ecs.tasks.remove(&arn).expect("it was just found");
        let is_lost = lifecycle::lose(state, &mut task);
        state.ecs.touched.extend(task.service.clone());
        state.ecs.tasks.insert(arn, task);
        is_lost
    }

    /// The connection to lost tasks is there again: what still runs of them gets its SIGTERM, as from an agent that
    /// hears that its tasks are long stopped.
    pub fn end_lost(&self) {
        for (_, child) in &self.state().ecs.lost {
            child.stop(Stop::Please);
        }
    }

    /// What still runs of lost tasks ends as by SIGKILL.
    pub fn kill_lost(&self) {
        for (_, child) in &self.state().ecs.lost {
            child.stop(Stop::Now);
        }
    }

    /// How many containers of lost tasks still run.
    pub fn lost_left(&self) -> usize {
        let lost = &self.state().ecs.lost;
        lost.iter().filter(|(_, child)| child.exit().is_none()).count()
    }
}
