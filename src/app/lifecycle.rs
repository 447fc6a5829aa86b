//! When to stop, and what must not stop before.

use std::future::Future;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Runs a task that must not end before `stop`. Where it does, `failed` is raised: a daemon of which a part is gone would
/// go on showing what that part said last. It ends, and whoever watches over it starts it again, from the databases.
pub(super) fn guarded(
    name: &'static str,
    task: impl Future<Output = ()> + Send + 'static,
    stop: CancellationToken,
    failed: CancellationToken,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let ended = tokio::spawn(task).await;
        if !stop.is_cancelled() {
            tracing::error!(task = name, ?ended, "a task ended that must not, the daemon stops");
            failed.cancel();
        }
    })
}

/// Returns when the process is asked to stop: SIGTERM or SIGINT.
pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be awaited, only SIGINT stops the daemon");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = terminate => {}
        interrupted = tokio::signal::ctrl_c() => {
            if let Err(error) = interrupted {
                tracing::warn!(%error, "SIGINT cannot be awaited, only SIGTERM stops the daemon");
                std::future::pending::<()>().await;
            }
        }
    }
    tracing::info!("asked to stop");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_early_raises_the_alarm_and_one_that_was_stopped_does_not() {
        let (stop, failed) = (CancellationToken::new(), CancellationToken::new());
        guarded("ends", async {}, stop.clone(), failed.clone()).await.expect("the guard does not panic");
        assert!(failed.is_cancelled());
        let failed = CancellationToken::new();
        let task = guarded("stops", stop.clone().cancelled_owned(), stop.clone(), failed.clone());
        stop.cancel();
        task.await.expect("the guard does not panic");
        assert!(!failed.is_cancelled());
    }
}
