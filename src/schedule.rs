//! What is done now and then: the home of the scheduler.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Why there is no schedule.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// The text of a chore's time is not one that cron knows.
    #[error("chore {chore}: no schedule {cron:?}")]
    Cron {
        /// Which chore.
        chore: &'static str,
        /// Its text.
        cron: String,
        /// What the parser says.
        source: JobSchedulerError,
    },
    /// The scheduler itself did not start or stop.
    #[error("scheduler")]
    Scheduler(#[from] JobSchedulerError),
}

/// When a chore is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Again and again after this time, for the first time one such time after the start.
    Every(Duration),
    /// At these times, in UTC: second, minute, hour, day of month, month, day of week.
    Cron(String),
}

type Run = dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// Something to be done now and then. It reports its own errors; a run that is not over is not joined by the next.
#[derive(Clone)]
pub struct Chore {
    name: &'static str,
    when: When,
    run: Arc<Run>,
}

impl Chore {
    /// The chore `name`, done by `run`.
    pub fn new<F, R>(name: &'static str, when: When, run: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Self { name, when, run: Arc::new(move || Box::pin(run())) }
    }
}

impl fmt::Debug for Chore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chore").field("name", &self.name).field("when", &self.when).finish_non_exhaustive()
    }
}

/// A running schedule.
pub struct Schedule {
    scheduler: JobScheduler,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule").finish_non_exhaustive()
    }
}

impl Schedule {
    /// Starts all chores, or none.
    ///
    /// # Errors
    /// Where the time of a chore cannot be read, or the scheduler does not start.
    pub async fn start(chores: Vec<Chore>) -> Result<Self, ScheduleError> {
        let scheduler = JobScheduler::new().await?;
        for Chore { name, when, run } in chores {
            let running = Arc::new(AtomicBool::new(false));
            let once = move || -> Pin<Box<dyn Future<Output = ()> + Send>> {
                let (run, running) = (Arc::clone(&run), Arc::clone(&running));
                Box::pin(async move {
                    if running.swap(true, Ordering::AcqRel) {
                        tracing::warn!(chore = name, "chore skipped, the run before it is not over");
                        return;
                    }
                    // Reset also where the run panics.
                    let _running = Running(running);
                    run().await;
                })
            };
            let job = match when {
                When::Every(every) => Job::new_repeated_async(every, move |_, _| once())?,
                When::Cron(cron) => Job::new_async(&cron, move |_, _| once())
                    .map_err(|source| ScheduleError::Cron { chore: name, cron, source })?,
            };
            scheduler.add(job).await?;
        }
        scheduler.start().await?;
        Ok(Self { scheduler })
    }

    /// Begins no further run; one that is under way goes on to its end.
    ///
    /// # Errors
    /// Where the scheduler does not stop.
    pub async fn stop(mut self) -> Result<(), ScheduleError> {
        Ok(self.scheduler.shutdown().await?)
    }
}

struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn chores_are_done_again_and_not_after_the_stop() {
        let (done, mut runs) = mpsc::unbounded_channel();
        let by_cron = done.clone();
        let chores = vec![
            Chore::new("retention", When::Every(Duration::from_secs(1)), move || {
                let done = done.clone();
                async move {
                    done.send("every").ok();
                }
            }),
            Chore::new("report", When::Cron("* * * * * *".to_owned()), move || {
                let done = by_cron.clone();
                async move {
                    done.send("cron").ok();
                }
            }),
        ];
        let schedule = Schedule::start(chores).await.expect("both can be read");
        let mut seen = (0, 0);
        while seen.0 < 2 || seen.1 < 2 {
            let run = tokio::time::timeout(Duration::from_secs(10), runs.recv()).await.expect("in time");
            match run.expect("the schedule runs") {
                "every" => seen.0 += 1,
                _ => seen.1 += 1,
            }
        }
        schedule.stop().await.expect("it runs");
        // Whoever is dropped sends no more: the channel ends when the chores are gone, or stays silent.
        while runs.try_recv().is_ok() {}
        let late = tokio::time::timeout(Duration::from_secs(2), runs.recv()).await;
        assert!(!matches!(late, Ok(Some(_))), "nothing after the stop");
    }

    #[tokio::test]
    async fn a_time_that_cannot_be_read_is_named() {
        let chore = Chore::new("report", When::Cron("at noon".to_owned()), || async {});
        let refused = Schedule::start(vec![chore]).await.expect_err("no cron");
        assert_eq!(refused.to_string(), "chore report: no schedule \"at noon\"");
    }
}
