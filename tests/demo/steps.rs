//! What each step does to the cluster, and what must follow from it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::dashboard::Finding;
use crate::disk;
use crate::kafka::UncleanTruncation;
use crate::stage::{CANARY, INVOICES, produce};
use crate::tour::{Act, SOON, Tour, Wanted};

/// Orders that warehouse-export goes back by.
const REWOUND: u32 = 250;
/// Events that come in while audit-archiver pauses, and those of them that retention takes.
const EVENTS: usize = 300;
const TRIMMED: u32 = 240;
/// Offsets that tax-report is set beyond its log.
const BEYOND: u32 = 1_000;
/// Invoices that nobody mails.
const UNREAD: usize = 40;
/// Records that the leader alone must have before it dies.
const ALONE: i64 = 30;
/// How long the drills of two brokers may take for one stage of theirs.
const DRILL_LIMIT: Duration = Duration::from_secs(60);

const NOTHING: Wanted<'static> = Wanted { kind: "", group: None, partition: None, broker: None, count: None };

impl Tour<'_> {
    pub(crate) async fn run(&mut self, act: Act) -> anyhow::Result<()> {
        match act {
            Act::Nothing => self.nothing().await,
            Act::Rewind => self.rewind().await,
            Act::Trim => self.trim().await,
            Act::CommitBeyond => self.commit_beyond().await,
            Act::Stop => self.stop().await,
            Act::Kill => self.kill().await,
            Act::Hang => self.hang().await,
            Act::Truncate => self.truncate().await,
        }
    }

    /// The control. A leader that moves is worth knowing and no alarm.
    async fn nothing(&mut self) -> anyhow::Result<()> {
        self.turns(5).await?;
        let strangers: Vec<Finding> = self
            .news()
            .await
            .into_iter()
            .filter(|finding| matches!(finding.grade.as_str(), "proven" | "observed") && finding.kind != "leader_moved")
            .collect();
        if strangers.is_empty() {
            self.good("nothing is found");
        }
        strangers.iter().for_each(|finding| self.stranger(finding));
        Ok(())
    }

    /// Waits until the daemon has read this commit.
    async fn until_read(&mut self, group: &str, topic: &str, partition: i32, offset: i64) -> anyhow::Result<bool> {
        let what = format!("the daemon reads the commit {offset} of {group}");
        self.until(&what, SOON, async |tour: &mut Self| {
            let read = tour.stage.dashboard().committed(group, topic, partition).await;
            match read.map_err(|error| format!("{error:#}"))? {
                Some(committed) if committed == offset => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    async fn rewind(&mut self) -> anyhow::Result<()> {
        let client = self.stage.cluster.client();
        let mut last = self.stage.workload.hold("warehouse-export").await?;
        self.until_read("warehouse-export", "orders", 0, *last).await?;
        let back = *last - i64::from(REWOUND);
        client.commit("warehouse-export", "orders", 0, back).await?;
        *last = back;
        self.expect(Wanted {
            kind: "commit_rewound",
            group: Some("warehouse-export"),
            partition: Some(("orders", 0)),
            count: Some(u64::from(REWOUND)),
            ..NOTHING
        })
        .await?;
        self.look(Duration::from_secs(8)).await;
        Ok(())
    }

    async fn trim(&mut self) -> anyhow::Result<()> {
        let client = self.stage.cluster.client();
        let mut last = self.stage.workload.hold("audit-archiver").await?;
        let tip = produce(&client, "audit-log", 0, EVENTS).await?;
        let start = client.delete_records("audit-log", 0, *last + i64::from(TRIMMED)).await?;
        self.expect(Wanted {
            kind: "retention_overtook_group",
            group: Some("audit-archiver"),
            partition: Some(("audit-log", 0)),
            count: u64::try_from(start - *last).ok(),
            ..NOTHING
        })
        .await?;
        self.look(Duration::from_secs(8)).await;
        client.commit("audit-archiver", "audit-log", 0, tip).await?;
        *last = tip;
        Ok(())
    }

    async fn commit_beyond(&mut self) -> anyhow::Result<()> {
        let client = self.stage.cluster.client();
        let end = i64::try_from(INVOICES)?;
        client.commit("tax-report", "invoices", 1, end + i64::from(BEYOND)).await?;
        self.expect(Wanted {
            kind: "commit_ahead_of_log",
            group: Some("tax-report"),
            partition: Some(("invoices", 1)),
            count: Some(u64::from(BEYOND)),
            ..NOTHING
        })
        .await?;
        self.look(Duration::from_secs(8)).await;
        client.commit("tax-report", "invoices", 1, end).await?;
        Ok(())
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        let client = self.stage.cluster.client();
        let tip = produce(&client, "invoices", 0, UNREAD).await?;
        self.expect(Wanted {
            kind: "group_stopped",
            group: Some("invoice-mailer"),
            count: u64::try_from(UNREAD).ok(),
            ..NOTHING
        })
        .await?;
        self.until_told("group_stopped").await?;
        self.look(Duration::from_secs(8)).await;
        client.commit("invoice-mailer", "invoices", 0, tip).await?;
        Ok(())
    }

    /// Waits until exactly the partitions are found that the brokers' metadata calls under-replicated, all of them on
    /// this broker.
    async fn expect_under_replicated(&mut self, broker: i32) -> anyhow::Result<()> {
        let replicas = self.stage.replicas_on(broker).await?;
        let what = format!("partition_under_replicated of {replicas} partitions");
        self.until(&what, SOON, async |tour: &mut Self| {
            let in_metadata = tour.stage.out_of_sync().await.map_err(|error| error.to_string())?;
            let news = tour.news().await;
            let found: Vec<&Finding> =
                news.iter().filter(|one| one.kind == "partition_under_replicated" && one.is_open()).collect();
            let named: BTreeSet<(String, i32)> =
                found.iter().filter_map(|one| Some((one.topic.clone()?, one.partition?))).collect();
            if named == in_metadata && named.len() == replicas && found.len() == replicas {
                let line =
                    format!("partition_under_replicated · {replicas} partitions, as the brokers' metadata has it");
                tour.meet_all(found, &line);
                return Ok(());
            }
            Err(format!("{} found, {} in metadata", found.len(), in_metadata.len()))
        })
        .await?;
        Ok(())
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        self.stage.cluster.kill(2).await?;
        self.expect(Wanted { kind: "broker_unreachable", broker: Some(2), ..NOTHING }).await?;
        self.expect_under_replicated(2).await?;
        self.until_told("partition_under_replicated").await?;
        self.look(Duration::from_secs(8)).await;
        self.screen.say("  Broker 2 starts again …");
        self.stage.cluster.start_again(2).await?;
        Ok(())
    }

    async fn hang(&mut self) -> anyhow::Result<()> {
        self.stage.cluster.client().until_leader("orders", 2, Some(3)).await?;
        self.stage.cluster.stop(3)?;
        self.until("what broker 3 leads is unknown, and the rest is not", SOON, async |tour: &mut Self| {
            let topic = tour.stage.dashboard().json("/topics/orders").await.map_err(|error| format!("{error:#}"))?;
            let partitions = topic["partitions"].as_array().ok_or("a topic has partitions")?;
            let of_hung = |one: &serde_json::Value| one["leader"] == 3;
            if let Some(zero) = partitions.iter().find(|one| one["high_watermark"] == 0) {
                tour.miss(format!("unknown: a high watermark became 0: {zero}"));
            }
            let unknown = partitions.iter().any(|one| of_hung(one) && one["high_watermark"].is_null());
            let fresh = partitions.iter().filter(|one| !of_hung(one)).all(|one| one["high_watermark"].is_i64());
            if unknown && fresh { Ok(()) } else { Err(topic["partitions"].to_string()) }
        })
        .await?
        .then(|| self.good("orders-2 is unknown, orders-0 and orders-1 are fresh, nothing became 0"));
        self.expect(Wanted { kind: "broker_unreachable", broker: Some(3), ..NOTHING }).await?;
        self.stage
            .cluster
            .client()
            .until_partition("somebody else leads", "orders", 2, |seen| seen.leader != Some(3))
            .await?;
        self.look(Duration::from_secs(8)).await;
        self.screen.say("  Broker 3 goes on (SIGCONT) …");
        self.stage.cluster.cont(3)?;
        Ok(())
    }

    async fn truncate(&mut self) -> anyhow::Result<()> {
        let client = self.stage.cluster.client();
        let drill = UncleanTruncation::new(CANARY, 1, 2);
        for topic in [CANARY, "sessions"] {
            client.until_leader(topic, 0, Some(1)).await?;
            client.until_in_sync(topic, 0, &[1, 2]).await?;
        }
        let unsure_before = self.stage.dashboard().canary("indeterminate").await?;
        drill.isolate_leader(&mut self.stage.cluster).await?;
        client.until_in_sync("sessions", 0, &[1]).await?;
        let (canary, sessions) = (format!("{CANARY}-0"), "sessions-0");
        let canary_cut = disk::end(&self.stage.cluster, 2, &canary)?;
        let cut = disk::end(&self.stage.cluster, 2, sessions)?;
        self.screen.say(&format!(
            "  Broker 2 is dead; its copy of {sessions} ends at {cut}, that of {canary} at {canary_cut}."
        ));

        let mut last = self.stage.workload.hold("session-store").await?;
        self.until("records that broker 1 alone has", DRILL_LIMIT, async |tour: &mut Self| {
            let canaries = disk::end(&tour.stage.cluster, 1, &canary).map_err(|error| format!("{error:#}"))?;
            let written = tour.stage.workload.tips().of("sessions", 0);
            if canaries >= canary_cut + ALONE && written >= cut + ALONE {
                return Ok(());
            }
            Err(format!("{canary} ends at {canaries}, {sessions} at {written}"))
        })
        .await?;
        let committed = self.stage.workload.tips().of("sessions", 0);
        let epoch = client.partition("sessions", 0).await?.leader_epoch;
        client.commit_with("session-store", "sessions", 0, committed, Some(epoch), "").await?;
        self.until_read("session-store", "sessions", 0, committed).await?;
        self.screen.say(&format!("  session-store has committed {committed}. Broker 1 dies, broker 2 comes back …"));
        drill.elect_follower(&mut self.stage.cluster).await?;
        client.until_leader("sessions", 0, Some(2)).await?;

        self.expect(Wanted {
            kind: "group_stranded",
            group: Some("session-store"),
            partition: Some(("sessions", 0)),
            count: u64::try_from(committed - cut).ok(),
            ..NOTHING
        })
        .await?;
        self.expect_lost(unsure_before).await?;
        self.look(Duration::from_secs(15)).await;
        self.screen.say("  Broker 1 starts again and cuts its log …");
        drill.heal(&mut self.stage.cluster).await?;

        let end = client.read_all("sessions", 0).await?.high_watermark;
        self.stage.workload.shorten("sessions", 0, end);
        client.commit("session-store", "sessions", 0, end).await?;
        *last = end;
        Ok(())
    }

    /// The oracle: what the dead leader has on its disk and the log has not, value by value. Each acknowledged record of
    /// that is to be named by its offset. Those whose acknowledgement was under way when the leader died are nobody's
    /// promise: the last ones, which the daemon calls indeterminate.
    async fn expect_lost(&mut self, unsure_before: u64) -> anyhow::Result<()> {
        let former = disk::records(&self.stage.cluster, 1, &format!("{CANARY}-0"))?;
        let what = "canary_lost and canary_truncated_after_delivery as the logs have it";
        self.until(what, DRILL_LIMIT, async |tour: &mut Self| {
            let log = tour.stage.cluster.client().read_all(CANARY, 0).await.map_err(|error| error.to_string())?;
            let there: BTreeSet<&[u8]> = log.records.iter().filter_map(|record| record.value.as_deref()).collect();
            let gone: BTreeSet<i64> = former
                .iter()
                .filter(|(_, value)| !there.contains(value.as_slice()))
                .map(|(offset, _)| *offset)
                .collect();
            let unsure = tour.stage.dashboard().canary("indeterminate").await.map_err(|error| format!("{error:#}"))?;
            let news = tour.news().await;
            let kinds = ["canary_lost", "canary_truncated_after_delivery"];
            let found: Vec<&Finding> = news
                .iter()
                .filter(|one| kinds.contains(&one.kind.as_str()) && one.topic.as_deref() == Some(CANARY))
                .filter(|one| one.partition == Some(0) && one.count_is == "exact")
                .collect();
            let named = found.iter().flat_map(|one| one.evidence["lost_offsets"].as_array().into_iter().flatten());
            let named: BTreeSet<i64> = named.filter_map(serde_json::Value::as_i64).collect();
            let counted: u64 = found.iter().filter_map(|one| one.count).sum();
            let rest: BTreeSet<i64> = gone.difference(&named).copied().collect();
            let only_the_last = rest.first().is_none_or(|first| named.last().is_some_and(|last| first > last));
            let is_exact = !named.is_empty()
                && named.is_subset(&gone)
                && u64::try_from(named.len()) == Ok(counted)
                && only_the_last
                && u64::try_from(rest.len()).is_ok_and(|rest| rest <= unsure.saturating_sub(unsure_before));
            if !is_exact {
                return Err(format!(
                    "{} are gone, {counted} are found, {} not acknowledged",
                    gone.len(),
                    unsure - unsure_before
                ));
            }
            for one in &found {
                tour.meet(one);
            }
            let open =
                if rest.is_empty() { String::new() } else { format!(", {} of them never acknowledged", rest.len()) };
            tour.good(&format!(
                "broker 1 has {} canaries on its disk that the log has not{open}: {counted} found, offset by offset",
                gone.len()
            ));
            Ok(())
        })
        .await?;
        Ok(())
    }
}
