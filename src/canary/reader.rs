//! Reads the canary topic back: `assign()`, one thread, every record with its offset and leader epoch.
//!
//! Each partition has a queue of its own, because rdkafka does not say which partition an error is about. The queues
//! wake the thread, which is also told what to do through the same channel.
//!
//! ```text
//!             Add                  out of range, truncated
//!   (none) ─────────► reading ───────────────────────────────► stopped ── Seek, SeekBeginning ──► reading
//! ```
//!
//! A stopped partition stays stopped until it is told where to go on: librdkafka would go anywhere, and forget.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::CanaryError;
use super::client::{Role, config};
use super::connection::Connection;
use super::cursor::Cursor;
use super::intake::{Intake, Item};
use crate::audit::{Event, Isolation, Lineage, Unreadable};
use crate::clock::Clock;
use crate::model::{Moment, Offset, PartitionId, ReaderSight, TopicName};

/// How often librdkafka's own queue (log lines, errors of the whole client) is served.
const TICK: Duration = Duration::from_millis(100);
/// How many records of a partition are taken before another gets its turn.
const TURN: usize = 512;
/// Ticks between two looks at every queue, whether it woke us or not.
const TICKS_PER_SWEEP: u32 = 10;

/// Where to begin reading a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadStart {
    /// The partition.
    pub partition: PartitionId,
    /// The next offset to read; none for the log start.
    pub offset: Option<Offset>,
}

/// What the reader is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderCommand {
    /// Read these too; a partition that is read already stays where it is.
    Add(Vec<ReadStart>),
    /// Go on at this offset, after a `ReaderMoved` event.
    Seek {
        /// The partition.
        partition: PartitionId,
        /// The next offset to read.
        offset: Offset,
    },
    /// Go on at the log start; the `ReaderMoved` event comes with the first record, which tells where that is.
    SeekBeginning {
        /// The partition.
        partition: PartitionId,
    },
    /// Read on with a new client, from the same positions: for when records are known to be there and do not come.
    Rebuild,
}

/// What the reader says besides what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderNotice {
    /// The partition is at its end for the first time since it was begun, or told to seek.
    CaughtUp {
        /// The partition.
        partition: PartitionId,
    },
    /// The next offset does not exist (any more, or yet): nothing is read there until it is told where to go on.
    Stopped {
        /// The partition.
        partition: PartitionId,
        /// The next offset it would have read; none at a log start never reached.
        at: Option<Offset>,
        /// librdkafka's reason: the only place that tells out of range from truncation.
        text: String,
    },
    /// The partition cannot be read now; said once until it can be read again. Reading goes on by itself.
    Failing {
        /// The partition.
        partition: PartitionId,
        /// librdkafka's reason.
        text: String,
    },
    /// The client was replaced by a new one.
    Rebuilt {
        /// Why.
        text: String,
    },
}

/// What wakes the thread.
#[derive(Debug)]
pub(super) enum Wake {
    /// The partition's queue is no longer empty.
    Records(PartitionId),
    Command(ReaderCommand),
    Stop,
}

/// Where what is read goes.
#[derive(Clone, Debug)]
pub(crate) struct Outlets {
    pub(crate) events: mpsc::Sender<(Event, Moment)>,
    pub(crate) notices: mpsc::Sender<(Isolation, ReaderNotice)>,
}

/// What a reader reads, and what it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    /// What it may see; it tells the records of the classes that are read so.
    pub(crate) isolation: Isolation,
    /// Whether it also tells what is no canary of ours.
    pub(crate) tells_strangers: bool,
}

/// One isolation level's reader. Dropped, it stops by itself.
#[derive(Debug)]
pub(crate) struct Reader {
    wakes: std_mpsc::Sender<Wake>,
    stopping: CancellationToken,
    stopped: Option<oneshot::Receiver<()>>,
    sights: watch::Receiver<Sights>,
}

/// How the reader fares on each of its partitions.
type Sights = BTreeMap<PartitionId, ReaderSight>;

impl Reader {
    /// Gets ready to read what it is told to. The runtime is only there to wait for room in the queues.
    pub(crate) fn start(
        kafka: &Connection,
        scope: Scope,
        (topic, lineage): (TopicName, Lineage),
        clock: Clock,
        outlets: Outlets,
    ) -> Result<Self, CanaryError> {
        let runtime = Handle::try_current().map_err(|_| CanaryError::NoRuntime)?;
        let (wakes, woken) = std_mpsc::channel();
        let Scope { isolation, tells_strangers } = scope;
        let config = config(kafka, Role::Reader(isolation));
        let intake = Intake::new((config, kafka.tokens.clone()), topic, lineage, clock, wakes.clone())?;
        let stopping = CancellationToken::new();
        let (done, stopped) = oneshot::channel();
        let cursors = BTreeMap::new();
        let stop = stopping.clone();
        let (shown, sights) = watch::channel(Sights::new());
        let mut pump = Pump {
            isolation,
            tells_strangers,
            intake,
            cursors,
            sights: shown,
            clock,
            outlets,
            runtime,
            stopping: stop,
        };
        std::thread::Builder::new()
            .name(format!("canary-{}", isolation.as_str().trim_start_matches("read_")))
            .spawn(move || {
                pump.run(&woken);
                drop(pump);
                // Nobody waits when the daemon goes down without a stop.
                done.send(()).ok();
            })
            .map_err(CanaryError::Thread)?;
        Ok(Self { wakes, stopping, stopped: Some(stopped), sights })
    }

    /// Tells the reader what to do; it does so in the order told.
    pub(crate) fn command(&self, command: ReaderCommand) {
        // A thread that is gone has nothing left to read.
        self.wakes.send(Wake::Command(command)).ok();
    }

    /// How it fares on each partition it reads.
    pub(crate) fn sights(&self) -> Sights {
        self.sights.borrow().clone()
    }

    /// Stops reading. What was not told yet will be read again by the next start.
    pub(crate) async fn stop(mut self) {
        self.tell_stop();
        if let Some(stopped) = self.stopped.take() {
            stopped.await.ok();
        }
    }

    fn tell_stop(&self) {
        self.stopping.cancel();
        self.wakes.send(Wake::Stop).ok();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.tell_stop();
    }
}

/// The thread's state.
struct Pump {
    isolation: Isolation,
    tells_strangers: bool,
    intake: Intake,
    cursors: BTreeMap<PartitionId, Cursor>,
    sights: watch::Sender<Sights>,
    clock: Clock,
    outlets: Outlets,
    runtime: Handle,
    stopping: CancellationToken,
}

impl Pump {
    fn run(&mut self, woken: &std_mpsc::Receiver<Wake>) {
        let mut ticks: u32 = 0;
        loop {
            match woken.recv_timeout(TICK) {
                Ok(Wake::Records(partition)) => self.drain(partition),
                Ok(Wake::Command(command)) => self.obey(command),
                Ok(Wake::Stop) | Err(std_mpsc::RecvTimeoutError::Disconnected) => return,
                Err(std_mpsc::RecvTimeoutError::Timeout) => {
                    ticks = ticks.wrapping_add(1);
                    if ticks.is_multiple_of(TICKS_PER_SWEEP) {
                        let partitions: Vec<_> = self.cursors.keys().copied().collect();
                        partitions.into_iter().for_each(|partition| self.drain(partition));
                    }
                }
            }
            if self.stopping.is_cancelled() {
                return;
            }
            if let Some(why) = self.intake.serve() {
                self.rebuild(&why);
            }
        }
    }

    fn drain(&mut self, partition: PartitionId) {
        for _ in 0..TURN {
            let Some(item) = self.intake.next(partition) else { return };
            self.take(partition, item);
            if self.stopping.is_cancelled() {
                return;
            }
        }
        self.intake.wake(partition);
    }

    fn take(&mut self, partition: PartitionId, item: Item) {
        let Some(cursor) = self.cursors.get_mut(&partition) else { return };
        let now = self.clock.now();
        match item {
            Item::Record { offset, leader_epoch, at, what } => {
                let isolation = self.isolation;
                show(&self.sights, partition, |sight| sight.hear(Some(offset.next()), at));
                let moved = cursor.read(offset).then_some(Event::ReaderMoved { isolation, partition, to: offset });
                let event = match what {
                    // Each reader tells of its own classes, so that no record is told twice.
                    Ok(record) if Isolation::of(record.key.class) == self.isolation => {
                        Some(Event::Received { isolation, record, partition, offset, leader_epoch })
                    }
                    Ok(_) => None,
                    Err(what) => self.unreadable(partition, offset, what),
                };
                moved.into_iter().chain(event).for_each(|event| self.tell(event, at));
            }
            Item::End => {
                show(&self.sights, partition, |sight| sight.hear(cursor.next(), now));
                if cursor.caught_up() {
                    self.notify(ReaderNotice::CaughtUp { partition });
                }
            }
            Item::Stopped { text } => {
                let at = cursor.stop();
                show(&self.sights, partition, |sight| sight.refuse(false, text.clone(), now));
                self.notify(ReaderNotice::Stopped { partition, at, text });
            }
            Item::Failing { is_denied, text } => {
                show(&self.sights, partition, |sight| sight.refuse(is_denied, text.clone(), now));
                if cursor.failing(&text) {
                    self.notify(ReaderNotice::Failing { partition, text });
                }
            }
            Item::Fatal { text } => self.rebuild(&text),
        }
    }

    fn unreadable(&self, partition: PartitionId, offset: Offset, what: Unreadable) -> Option<Event> {
        self.tells_strangers.then_some(Event::Unreadable { isolation: self.isolation, partition, offset, what })
    }

    fn obey(&mut self, command: ReaderCommand) {
        match command {
            ReaderCommand::Add(starts) => self.add(&starts),
            ReaderCommand::Seek { partition, offset } => {
                let isolation = self.isolation;
                self.tell(Event::ReaderMoved { isolation, partition, to: offset }, self.clock.now());
                self.seek(partition, Cursor::at(Some(offset)));
            }
            ReaderCommand::SeekBeginning { partition } => self.seek(partition, Cursor::moving_to_log_start()),
            ReaderCommand::Rebuild => self.rebuild("asked for"),
        }
    }

    fn add(&mut self, starts: &[ReadStart]) {
        let mut added = Vec::new();
        for start in starts {
            if let Entry::Vacant(entry) = self.cursors.entry(start.partition) {
                entry.insert(Cursor::at(start.offset));
                let sight = ReaderSight::begun(start.offset, self.clock.now());
                self.sights.send_modify(|sights| drop(sights.insert(start.partition, sight)));
                added.push((start.partition, start.offset));
            }
        }
        self.assign(&added);
    }

    fn seek(&mut self, partition: PartitionId, cursor: Cursor) {
        if self.cursors.insert(partition, cursor).is_some()
            && let Err(error) = self.intake.release(partition)
        {
            return self.rebuild(&error.to_string());
        }
        let next = self.cursors.get(&partition).and_then(Cursor::next);
        show(&self.sights, partition, |sight| sight.move_to(next));
        self.assign(&[(partition, next)]);
    }

    fn assign(&mut self, positions: &[(PartitionId, Option<Offset>)]) {
        if let Err(error) = self.intake.assign(positions) {
            self.intake.condemn(error.to_string());
        }
    }

    /// A new client in place of this one, at the same positions. Stopped partitions stay stopped.
    fn rebuild(&mut self, why: &str) {
        tracing::warn!(isolation = self.isolation.as_str(), why, "the canary reader's client is replaced");
        let reading = self.cursors.iter().filter(|(_, cursor)| !cursor.is_stopped());
        let positions: Vec<_> = reading.map(|(partition, cursor)| (*partition, cursor.next())).collect();
        match self.intake.replace() {
            Ok(()) => {
                self.notify(ReaderNotice::Rebuilt { text: why.to_owned() });
                self.assign(&positions);
            }
            Err(error) => self.intake.condemn(error.to_string()),
        }
    }

    /// Waits for room: no event is dropped but by a stop, and then the record is read again by the next start.
    fn tell(&self, event: Event, at: Moment) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.outlets.events.try_send((event, at)) {
            self.wait(self.outlets.events.send(event));
        }
    }

    fn notify(&self, notice: ReaderNotice) {
        if let Err(mpsc::error::TrySendError::Full(notice)) = self.outlets.notices.try_send((self.isolation, notice)) {
            self.wait(self.outlets.notices.send(notice));
        }
    }

    fn wait(&self, sent: impl Future) {
        self.runtime.block_on(async {
            tokio::select! {
                () = self.stopping.cancelled() => {}
                _ = sent => {}
            }
        });
    }
}

/// Changes what is shown of a partition that is read.
fn show(sights: &watch::Sender<Sights>, partition: PartitionId, change: impl FnOnce(&mut ReaderSight)) {
    sights.send_if_modified(|sights| sights.get_mut(&partition).map(change).is_some());
}
