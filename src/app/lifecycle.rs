//! When to stop.

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
