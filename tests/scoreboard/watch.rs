//! A witness who asks the daemon for its counts ten times a second, whatever else happens.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::daemon::broken_sum;

/// Counts by class and word.
pub(crate) type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// What has to stay as it is once a fault is judged.
const VERDICTS: [&str; 6] = ["lost", "truncated_after_delivery", "duplicated", "reordered", "phantom", "expired"];

/// What was seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The last answer.
    pub(crate) last: Counts,
    /// The highest of each count.
    pub(crate) most: Counts,
    /// The first moment of each different set of verdicts, in order.
    verdicts: Vec<(Option<Instant>, Counts)>,
    /// Sums that did not hold.
    pub(crate) broken: Vec<String>,
    pub(crate) answers: u64,
}

impl Seen {
    fn note(&mut self, at: Instant, classes: &[Value]) {
        self.answers += 1;
        let mut counts = Counts::new();
        for class in classes {
            let name = class["class"].as_str().unwrap_or_default().to_owned();
            if let Some(broken) = broken_sum(class)
                && self.broken.len() < 10
            {
                self.broken.push(broken);
            }
            let numbers = class.as_object().into_iter().flatten();
            counts.insert(name, numbers.filter_map(|(word, n)| Some((word.clone(), n.as_u64()?))).collect());
        }
        for (class, words) in &counts {
            let most = self.most.entry(class.clone()).or_default();
            for (word, count) in words {
                let most = most.entry(word.clone()).or_default();
                *most = (*most).max(*count);
            }
        }
        let of_verdicts = |words: &BTreeMap<String, u64>| {
            VERDICTS.iter().filter_map(|word| Some(((*word).to_owned(), *words.get(*word)?))).collect()
        };
        let verdicts: Counts = counts.iter().map(|(class, words)| (class.clone(), of_verdicts(words))).collect();
        if self.verdicts.last().is_none_or(|(_, last)| *last != verdicts) {
            self.verdicts.push((Some(at), verdicts));
        }
        self.last = counts;
    }

    /// The last count of a class.
    pub(crate) fn count(&self, class: &str, word: &str) -> u64 {
        self.last.get(class).and_then(|words| words.get(word)).copied().unwrap_or_default()
    }

    /// The highest count of a class.
    pub(crate) fn most(&self, class: &str, word: &str) -> u64 {
        self.most.get(class).and_then(|words| words.get(word)).copied().unwrap_or_default()
    }

    /// Each moment at which the lost records of all classes became more.
    pub(crate) fn losses(&self) -> Vec<(Instant, u64)> {
        let of = |words: &BTreeMap<String, u64>| -> u64 {
            words
                .iter()
                .filter(|(word, _)| matches!(word.as_str(), "lost" | "truncated_after_delivery"))
                .map(|(_, n)| n)
                .sum()
        };
        let mut losses: Vec<(Instant, u64)> = Vec::new();
        for (at, counts) in &self.verdicts {
            let lost = counts.values().map(of).sum();
            if let Some(at) = at.filter(|_| lost > losses.last().map_or(0, |(_, last)| *last)) {
                losses.push((at, lost));
            }
        }
        losses
    }

    /// When the verdicts became what they are now; nothing where there is none.
    pub(crate) fn judged_at(&self) -> Option<Instant> {
        let (at, verdicts) = self.verdicts.last()?;
        let is_any = verdicts.values().flat_map(BTreeMap::values).any(|count| *count > 0);
        if is_any { *at } else { None }
    }
}

/// The witness; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Asks the daemon at this address from now on; one that does not answer is asked again.
    pub(crate) fn start(address: &str) -> Self {
        let url = format!("{address}/api/v1/clusters/main/canary");
        let (sender, seen) = watch::channel(Seen::default());
        let task = tokio::spawn(async move {
            let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build().expect("a client");
            let mut ticks = interval(Duration::from_millis(100));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Ok(answer) = client.get(&url).send().await else { continue };
                let Ok(body) = answer.json::<Value>().await else { continue };
                let Some(items) = body["items"].as_array().filter(|items| !items.is_empty()) else { continue };
                sender.send_modify(|seen| seen.note(Instant::now(), items));
            }
        });
        Self { seen, task }
    }

    /// What was seen so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
