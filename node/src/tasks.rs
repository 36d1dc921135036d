//! Tasks: what a node works on beside requests, on its one runtime, joined when it ends.
//!
//! Requests are answered on threads of the API, which have runtimes of their own where nothing may
//! block ([`crate::http::Threads`]). What a request begins and leaves behind, a session with a peer
//! say, and what it waits for there, runs here all the same: a task knows where it belongs.

use crate::telemetry::traces;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Begins tasks on the runtime it was made on. Clones begin them on the same one.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    runtime: Handle,
}

impl Tasks {
    /// Begins tasks on the runtime of whoever calls.
    ///
    /// # Panics
    ///
    /// Panics outside of a runtime.
    pub fn here() -> Self {
        Self {
            tracker: TaskTracker::new(),
            runtime: Handle::current(),
        }
    }

    /// Begins a task.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker.spawn_on(task, &self.runtime)
    }

    /// Begins work that blocks.
    pub fn spawn_blocking<T, F>(&self, work: F) -> JoinHandle<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        self.tracker.spawn_blocking_on(work, &self.runtime)
    }

    /// Runs a task for whoever waits for it, in their trace; if they wait no more, it ends.
    pub async fn run<F>(&self, task: F) -> Result<F::Output, JoinError>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        AbortOnDropHandle::new(self.spawn(traces::carried_along(task))).await
    }

    /// Waits until all tasks have ended, at most so long; returns whether they have.
    pub async fn end(&self, within: Duration) -> bool {
        self.tracker.close();
        let ended = tokio::time::timeout(within, self.tracker.wait()).await;
        ended.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    const SOON: Duration = Duration::from_mins(1);

    #[test]
    fn a_task_runs_on_the_runtime_of_the_node_whoever_begins_it() {
        let node = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("node")
            .build();
        let (node, other) = (
            node.unwrap(),
            Builder::new_current_thread().build().unwrap(),
        );
        let tasks = node.block_on(async { Tasks::here() });
        let name = || thread::current().name().map(str::to_owned);
        let (run, spawned) = other.block_on(async {
            // To block is refused where a thread has connections to serve.
            let run = tasks.run(async move { tokio::task::block_in_place(name) });
            (
                run.await.unwrap(),
                tasks.spawn(async move { name() }).await.unwrap(),
            )
        });
        assert_eq!([run.as_deref(), spawned.as_deref()], [Some("node"); 2]);
    }

    #[tokio::test]
    async fn nobody_works_for_who_has_gone() {
        let tasks = Tasks::here();
        let (begun, has_begun) = oneshot::channel();
        let (alive, gone) = oneshot::channel::<()>();
        let mut run = Box::pin(tasks.run(async move {
            let _alive = alive;
            begun.send(()).unwrap();
            std::future::pending::<()>().await;
        }));
        tokio::select! {
            _ = &mut run => unreachable!("it waits for ever"),
            begun = has_begun => begun.unwrap(),
        }
        drop(run);
        assert!(gone.await.is_err());
        assert!(tasks.end(SOON).await);
    }
}
