//! One connection: requests one way, responses the other, and what the rules make of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

use super::Shared;
use super::frame::{self, Request};
use super::rule::{Applied, Fault};

/// Why a connection ended.
enum End {
    Closed,
    Reset,
}

/// What the way back has to know of a request before its response comes.
enum Note {
    /// This response is hit.
    Hit { correlation: i32, fault: Fault },
    /// This response is made here.
    Made(Vec<u8>),
}

/// What one request is to become.
enum Way {
    On(Vec<u8>),
    /// Answered here.
    Nowhere,
}

/// Serves one connection until either side, or a rule, ends it.
pub(super) async fn serve(broker: i32, client: TcpStream, shared: Arc<Shared>) {
    let target = shared.targets.borrow().get(&broker).copied();
    let Some(target) = target else { return };
    // A broker that is not there: the client is let in and put out again, which librdkafka treats as a disconnect.
    let Ok(upstream) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    // Small frames that wait for each other's acknowledgement would add 40 ms here and there.
    client.set_nodelay(true).and_then(|()| upstream.set_nodelay(true)).ok();
    let (client_read, client_write) = client.into_split();
    let (broker_read, broker_write) = upstream.into_split();
    let (notes, noted) = mpsc::unbounded_channel();
    let (name, named) = watch::channel(String::new());
    let mut resets = shared.resets.subscribe();
    let reset_count = |resets: &BTreeMap<i32, u64>| resets.get(&broker).copied().unwrap_or_default();
    let before = reset_count(&resets.borrow());
    let mut up = Up { broker, shared: Arc::clone(&shared), notes, name, waiting: None };
    let mut back =
        Back { broker, shared: Arc::clone(&shared), noted, named, hits: BTreeMap::new(), write: client_write };
    let (mut client_read, mut broker_read) = (client_read, broker_read);
    let mut broker_write = broker_write;
    let end = tokio::select! {
        end = up.run(&mut client_read, &mut broker_write) => end,
        end = back.run(&mut broker_read) => end,
        _ = resets.wait_for(|resets| reset_count(resets) != before) => End::Reset,
    };
    if matches!(end, End::Reset) {
        back.write.as_ref().set_zero_linger().and_then(|()| broker_write.as_ref().set_zero_linger()).ok();
    }
}

/// The way of requests.
struct Up {
    broker: i32,
    shared: Arc<Shared>,
    notes: mpsc::UnboundedSender<Note>,
    name: watch::Sender<String>,
    /// A refusal that waits for the next request of its kind.
    waiting: Option<(Arc<Applied>, Vec<u8>)>,
}

impl Up {
    async fn run(&mut self, client: &mut OwnedReadHalf, broker: &mut OwnedWriteHalf) -> End {
        while let Ok(Some(frame)) = frame::read(client).await {
            let way = self.way_of(frame);
            let client_id = self.name.borrow().clone();
            self.shared.until_free(self.broker, &client_id).await;
            let Way::On(frame) = way else { continue };
            if broker.write_all(&frame).await.is_err() {
                return End::Closed;
            }
        }
        End::Closed
    }

    fn way_of(&mut self, frame: Vec<u8>) -> Way {
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let Some(request) = Request::of(self.broker, &frame) else { return Way::On(frame) };
        self.name.send_if_modified(|name| {
            let is_new = name != request.client;
            if is_new {
                request.client.clone_into(name);
            }
            is_new
        });
        let asked = (request.client.to_owned(), request.api);
        self.shared.asked.send_if_modified(|all| all.insert(asked));
        let releases = self.waiting.as_ref().is_some_and(|(applied, _)| applied.is_of_kind(&request));
        if releases && let Some((_, refusal)) = self.waiting.take() {
            self.note(Note::Made(refusal));
            return Way::On(frame);
        }
        let rules = self.shared.rules.borrow().clone();
        let hit = rules.iter().find_map(|applied| Some((applied, applied.fault_of(&request)?)));
        match hit {
            None => {}
            Some((_, Fault::Refuse(error))) => {
                if let Some(refusal) = request.refusal(error) {
                    self.note(Note::Made(refusal));
                    return Way::Nowhere;
                }
            }
            Some((applied, Fault::RefuseBehindNext(error))) => {
                if let Some(refusal) = request.refusal(error) {
                    self.waiting = Some((Arc::clone(applied), refusal));
                    return Way::Nowhere;
                }
            }
            // acks=0 has no response that could be hit.
            Some((_, Fault::Swallow | Fault::Hangup | Fault::Reset | Fault::Delay(_))) if request.acks() == Some(0) => {
            }
            Some((_, fault @ (Fault::Swallow | Fault::Hangup | Fault::Reset | Fault::Delay(_)))) => {
                self.note(Note::Hit { correlation: request.correlation, fault });
            }
        }
        Way::On(frame)
    }

    fn note(&self, note: Note) {
        // The way back ends with this one, in the same select.
        self.notes.send(note).ok();
    }
}

/// The way of responses.
struct Back {
    broker: i32,
    shared: Arc<Shared>,
    noted: mpsc::UnboundedReceiver<Note>,
    named: watch::Receiver<String>,
    hits: BTreeMap<i32, Fault>,
    write: OwnedWriteHalf,
}

impl Back {
    async fn run(&mut self, broker: &mut OwnedReadHalf) -> End {
        // A frame that is read in part must not be lost when a note comes first: reading has a task of its own.
        let (frames, mut read) = mpsc::channel(16);
        let reading = async {
            while let Ok(Some(frame)) = frame::read(broker).await {
                if frames.send(frame).await.is_err() {
                    break;
                }
            }
            drop(frames);
        };
        let passing = async {
            loop {
                let end = tokio::select! {
                    biased;
                    // Notes first: that of a request is there before its response can be.
                    Some(note) = self.noted.recv() => self.take(note).await,
                    frame = read.recv() => match frame {
                        Some(frame) => self.pass(frame).await,
                        None => Some(End::Closed),
                    },
                };
                if let Some(end) = end {
                    return end;
                }
            }
        };
        let (reading, passing) = (std::pin::pin!(reading), std::pin::pin!(passing));
        let mut passing = passing;
        tokio::select! {
            end = &mut passing => end,
            // What was read before the end still passes.
            () = reading => passing.await,
        }
    }

    async fn take(&mut self, note: Note) -> Option<End> {
        match note {
            Note::Hit { correlation, fault } => {
                self.hits.insert(correlation, fault);
                None
            }
            Note::Made(frame) => self.write(&frame).await,
        }
    }

    async fn pass(&mut self, frame: Vec<u8>) -> Option<End> {
        let fault = frame::correlation_of(&frame).and_then(|correlation| self.hits.remove(&correlation));
        match fault {
            Some(Fault::Swallow) => return None,
            Some(Fault::Hangup) => return Some(End::Closed),
            Some(Fault::Reset) => return Some(End::Reset),
            Some(Fault::Delay(delay)) => tokio::time::sleep(delay).await,
            // These never have a response of the broker's.
            Some(Fault::Refuse(_) | Fault::RefuseBehindNext(_)) | None => {}
        }
        self.write(&frame).await
    }

    async fn write(&mut self, frame: &[u8]) -> Option<End> {
        let client_id = self.named.borrow().clone();
        self.shared.until_free(self.broker, &client_id).await;
        self.write.write_all(frame).await.err().map(|_| End::Closed)
    }
}

impl Shared {
    /// Waits until this link is not held.
    async fn until_free(&self, broker: i32, client: &str) {
        let mut held = self.held.subscribe();
        // The sender is ours.
        held.wait_for(|held| !held.iter().any(|link| link.holds(broker, client))).await.ok();
    }
}
