//! The daemon's pages and JSON, asked as anybody would ask them.

use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

/// The name of the cluster in the daemon's configuration.
pub(crate) const CLUSTER: &str = "main";

/// A client of one daemon.
#[derive(Clone, Debug)]
pub(crate) struct Dashboard {
    address: String,
    http: reqwest::Client,
}

/// A finding as the contract has it, as far as the demo looks at it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Finding {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) grade: String,
    pub(crate) nature: String,
    pub(crate) state: String,
    pub(crate) group: Option<String>,
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<i32>,
    pub(crate) broker: Option<i32>,
    pub(crate) canary_class: Option<String>,
    pub(crate) count: Option<u64>,
    pub(crate) count_is: String,
    pub(crate) summary: String,
    pub(crate) evidence: Value,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Finding>,
    total: usize,
}

impl Finding {
    pub(crate) fn is_open(&self) -> bool {
        self.state == "open"
    }

    /// Whom it is about, in words.
    pub(crate) fn subject(&self) -> String {
        let partition = self.partition.map(|index| format!("-{index}")).unwrap_or_default();
        let parts = [
            self.group.as_ref().map(|group| format!("group {group}")),
            self.topic.as_ref().map(|topic| format!("{topic}{partition}")),
            self.broker.map(|id| format!("broker {id}")),
            self.canary_class.as_ref().map(|class| format!("class {class}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Kind, subject and count in one line.
    pub(crate) fn brief(&self) -> String {
        let count = match (self.count, self.count_is.as_str()) {
            (None, _) => String::new(),
            (Some(count), "exact") => format!(" · {count}"),
            (Some(count), other) => format!(" · {} {count}", other.replace('_', " ")),
        };
        format!("{} · {}{count}", self.kind, self.subject())
    }
}

impl Dashboard {
    pub(crate) fn new(address: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        Ok(Self { address, http })
    }

    /// The address of a page.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub(crate) async fn is_ready(&self) -> bool {
        self.http.get(self.page("/readyz")).send().await.is_ok_and(|answer| answer.status().is_success())
    }

    /// The JSON of a path below the cluster's.
    pub(crate) async fn json(&self, path: &str) -> anyhow::Result<Value> {
        let url = self.page(&format!("/api/v1/clusters/{CLUSTER}{path}"));
        let answer = self.http.get(&url).send().await?.error_for_status()?;
        answer.json().await.with_context(|| format!("GET {url}"))
    }

    /// Every finding there is, open and closed.
    pub(crate) async fn findings(&self) -> anyhow::Result<Vec<Finding>> {
        let mut all = Vec::new();
        for page in 1.. {
            let list = self.json(&format!("/findings?state=all&page={page}")).await?;
            let Page { items, total } = serde_json::from_value(list).context("the list of findings")?;
            let empty = items.is_empty();
            all.extend(items);
            if empty || all.len() >= total {
                break;
            }
        }
        Ok(all)
    }

    /// When the cluster was last read.
    pub(crate) async fn as_of(&self) -> anyhow::Result<String> {
        let list: Value = self.http.get(self.page("/api/v1/clusters")).send().await?.error_for_status()?.json().await?;
        let items = list["items"].as_array().context("/clusters is a list")?;
        let cluster = items.iter().find(|one| one["name"] == CLUSTER).context("/clusters names the cluster")?;
        Ok(cluster["as_of"].as_str().unwrap_or_default().to_owned())
    }

    /// A number of the canary's only class.
    pub(crate) async fn canary(&self, name: &str) -> anyhow::Result<u64> {
        let canary = self.json("/canary").await?;
        let classes = canary["items"].as_array().context("/canary is a list")?;
        let class = classes.iter().find(|one| one["class"] == "idempotent").context("/canary names the class")?;
        class[name].as_u64().with_context(|| format!("/canary: {name} is a number"))
    }

    /// What the daemon has read of a group's commit on a partition.
    pub(crate) async fn committed(&self, group: &str, topic: &str, partition: i32) -> anyhow::Result<Option<i64>> {
        let view = self.json(&format!("/groups/{group}")).await?;
        let partitions = view["partitions"].as_array().context("a group has partitions")?;
        let found = partitions.iter().find(|one| one["topic"] == topic && one["partition"] == partition);
        Ok(found.and_then(|one| one["committed_offset"].as_i64()))
    }
}
