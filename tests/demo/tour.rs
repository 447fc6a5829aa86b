//! The tour: its steps as data, what each must lead to, and the account of what was found.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::dashboard::Finding;
use crate::receiver::Told;
use crate::screen::{Screen, Tone};
use crate::stage::Stage;

/// How long a finding may take once its cause is there.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// How long the cluster and the daemon may take to be quiet again.
const CALM_LIMIT: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Whether somebody looks on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One lap, as fast as the findings come.
    Once,
    /// Lap after lap, with time to look at the pages.
    Leisurely,
}

/// What is done to the cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Nothing,
    Rewind,
    Trim,
    CommitBeyond,
    Stop,
    Kill,
    Hang,
    Truncate,
}

/// One stop of the tour.
pub(crate) struct Step {
    title: &'static str,
    /// What happens, in plain words.
    story: &'static str,
    /// Pages, and what to look for there.
    watch: &'static [(&'static str, &'static str)],
    act: Act,
}

const STEPS: &[Step] = &[
    Step {
        title: "A quiet start",
        story: "Orders, payments and sessions are written; groups read and commit; canaries go out and come back. \
                Nothing is wrong, so nothing may be found.",
        watch: &[("/", "all partitions in sync"), ("/clusters/main/findings", "no loss, no alarm")],
        act: Act::Nothing,
    },
    Step {
        title: "A group goes back",
        story: "Somebody resets warehouse-export by 250 orders: it will process them a second time.",
        watch: &[("/clusters/main/groups/warehouse-export", "the verdict becomes `rewound`")],
        act: Act::Rewind,
    },
    Step {
        title: "Retention overtakes a group",
        story: "audit-archiver pauses, 300 events come in, and 240 of them are deleted before it read them.",
        watch: &[(
            "/clusters/main/groups/audit-archiver",
            "240 records are gone, and the lag counts only what is left",
        )],
        act: Act::Trim,
    },
    Step {
        title: "A commit beyond the log",
        story: "A script sets tax-report 1000 offsets beyond the end of its log. Its lag is not 0: it is unknown.",
        watch: &[("/clusters/main/groups/tax-report", "ahead of the log, lag unknown")],
        act: Act::CommitBeyond,
    },
    Step {
        title: "A group stops",
        story: "40 invoices come in and invoice-mailer does not read them. After 15 s without a commit it counts as \
                stopped.",
        watch: &[("/clusters/main/groups/invoice-mailer", "the verdict becomes `stopped`, 40 behind")],
        act: Act::Stop,
    },
    Step {
        title: "A broker dies",
        story: "Broker 2 is killed (SIGKILL), and later started again.",
        watch: &[
            ("/clusters/main/brokers", "broker 2 does not answer"),
            ("/clusters/main/topics", "as many under-replicated partitions as it holds replicas"),
        ],
        act: Act::Kill,
    },
    Step {
        title: "A broker hangs",
        story: "Broker 3 is stopped (SIGSTOP): its sockets stay open and nothing answers. What it leads is unknown, \
                nothing becomes 0, and the rest goes on.",
        watch: &[
            ("/clusters/main/brokers", "broker 3 does not answer"),
            ("/clusters/main/topics/orders", "its partition is unknown, the others are fresh"),
        ],
        act: Act::Hang,
    },
    Step {
        title: "Acknowledged records are lost",
        story: "sessions and one canary partition allow unclean elections. Their follower (broker 2) dies, records go \
                on being acknowledged, then the leader (broker 1) dies and the follower comes back as leader without \
                them. session-store has committed beyond the cut.",
        watch: &[
            ("/clusters/main/canary", "each lost record counted"),
            ("/clusters/main/groups/session-store", "stranded: what it would skip, counted"),
        ],
        act: Act::Truncate,
    },
];

/// A finding that must come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) kind: &'a str,
    pub(crate) group: Option<&'a str>,
    pub(crate) partition: Option<(&'a str, i32)>,
    pub(crate) broker: Option<i32>,
    /// Exactly so many; `None` where there is nothing to count.
    pub(crate) count: Option<u64>,
}

impl Wanted<'_> {
    fn is_about(&self, finding: &Finding) -> bool {
        finding.kind == self.kind
            && finding.group.as_deref() == self.group
            && finding.broker == self.broker
            && finding.topic.as_deref() == self.partition.map(|(topic, _)| topic)
            && finding.partition == self.partition.map(|(_, index)| index)
    }

    fn is(&self, finding: &Finding) -> bool {
        self.is_about(finding) && finding.count == self.count && finding.count_is == "exact"
    }
}

impl std::fmt::Display for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(group) = self.group {
            write!(f, " · group {group}")?;
        }
        if let Some((topic, index)) = self.partition {
            write!(f, " · {topic}-{index}")?;
        }
        if let Some(broker) = self.broker {
            write!(f, " · broker {broker}")?;
        }
        self.count.map_or(Ok(()), |count| write!(f, " · {count}"))
    }
}

/// What was found of what was provoked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Ids of the findings that were provoked.
    met: BTreeSet<String>,
    /// Their kinds.
    kinds: BTreeSet<String>,
    missing: Vec<String>,
    extra: Vec<String>,
}

impl Account {
    pub(crate) fn is_as_provoked(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && !self.met.is_empty()
    }

    pub(crate) fn print(&self, screen: Screen) {
        screen.say("");
        for missing in &self.missing {
            screen.line(Tone::Bad, &format!("✘ missing: {missing}"));
        }
        for extra in &self.extra {
            screen.line(Tone::Bad, &format!("✘ not provoked: {extra}"));
        }
        if self.is_as_provoked() {
            screen.line(
                Tone::Good,
                &format!("✔ All {} findings as provoked, and nothing else is proven.", self.met.len()),
            );
        }
    }
}

/// One lap over the stage.
pub(crate) struct Tour<'a> {
    pub(crate) stage: &'a mut Stage,
    pub(crate) screen: Screen,
    pace: Pace,
    /// Ids of the findings that were there before this step.
    known: BTreeSet<String>,
    /// Notices that had come before this step.
    told: Told,
    account: Account,
}

impl<'a> Tour<'a> {
    pub(crate) fn new(stage: &'a mut Stage, screen: Screen, pace: Pace, account: Account) -> Self {
        Self { stage, screen, pace, known: BTreeSet::new(), told: Told::new(), account }
    }

    /// Goes through all steps, and returns the account with what they led to.
    pub(crate) async fn lap(mut self) -> anyhow::Result<Account> {
        for (number, step) in (1..).zip(STEPS) {
            self.stage.daemon.check()?;
            self.known = self.findings().await.into_iter().map(|finding| finding.id).collect();
            self.told = self.stage.receiver.told();
            self.screen.say("");
            self.screen.line(Tone::Strong, &format!("{number}/{} {}", STEPS.len(), step.title));
            self.screen.say(&format!("  {}", step.story));
            for (path, what) in step.watch {
                let url = self.stage.dashboard().page(path);
                self.screen.line(Tone::Faint, &format!("  → {url} : {what}"));
            }
            self.look(Duration::from_secs(5)).await;
            self.run(step.act).await?;
            self.calm().await?;
            self.look(Duration::from_secs(8)).await;
        }
        self.turns(3).await?;
        self.close().await;
        Ok(self.account)
    }

    /// Time to look at a page, where somebody looks.
    pub(crate) async fn look(&self, pause: Duration) {
        match self.pace {
            Pace::Once => {}
            Pace::Leisurely => tokio::time::sleep(pause).await,
        }
    }

    /// Everything the daemon has found; nothing while it does not answer.
    pub(crate) async fn findings(&self) -> Vec<Finding> {
        self.stage.dashboard().findings().await.unwrap_or_default()
    }

    /// What it has found since this step began.
    pub(crate) async fn news(&self) -> Vec<Finding> {
        self.findings().await.into_iter().filter(|finding| !self.known.contains(&finding.id)).collect()
    }

    /// Waits for a finding; without it, puts it on the account.
    pub(crate) async fn expect(&mut self, wanted: Wanted<'_>) -> anyhow::Result<()> {
        let deadline = Instant::now() + SOON;
        loop {
            let news = self.news().await;
            if let Some(found) = news.iter().find(|finding| wanted.is(finding)) {
                self.meet(found);
                return Ok(());
            }
            self.stage.daemon.check()?;
            if Instant::now() >= deadline {
                let alike = news.iter().filter(|finding| finding.kind == wanted.kind).map(Finding::brief);
                let alike = alike.collect::<Vec<_>>().join("; ");
                let instead = if alike.is_empty() { "nothing of this kind came".to_owned() } else { alike };
                self.miss(format!("{wanted} within {SOON:?} ({instead})"));
                return Ok(());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Waits until a notice of this kind came since this step began: what is over before its hold is told to nobody.
    pub(crate) async fn until_told(&mut self, kind: &str) -> anyhow::Result<()> {
        self.until(&format!("a notice of {kind}"), SOON, async |tour: &mut Self| {
            let (before, now) = (tour.told.get(kind).copied(), tour.stage.receiver.told().get(kind).copied());
            if now > before { Ok(()) } else { Err(format!("{} before", before.unwrap_or(0))) }
        })
        .await?;
        Ok(())
    }

    /// Waits until `holds` says so; without it, puts `what` and the last answer on the account.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut holds: impl AsyncFnMut(&mut Self) -> Result<(), String>,
    ) -> anyhow::Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            let Err(seen) = holds(self).await else { return Ok(true) };
            self.stage.daemon.check()?;
            if Instant::now() >= deadline {
                self.miss(format!("{what} within {limit:?} ({seen})"));
                return Ok(false);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Takes a finding as the one that was provoked, and shows it.
    pub(crate) fn meet(&mut self, finding: &Finding) {
        self.account.met.insert(finding.id.clone());
        self.account.kinds.insert(finding.kind.clone());
        self.screen.line(Tone::Good, &format!("  ✔ {}", finding.brief()));
        self.screen.say(&format!("    {}", finding.summary));
        let url = self.stage.dashboard().page(&format!("/clusters/main/findings/{}", finding.id));
        self.screen.line(Tone::Faint, &format!("    {url}"));
    }

    /// Takes findings as provoked that are shown together.
    pub(crate) fn meet_all<'f>(&mut self, findings: impl IntoIterator<Item = &'f Finding>, line: &str) {
        for finding in findings {
            self.account.met.insert(finding.id.clone());
            self.account.kinds.insert(finding.kind.clone());
        }
        self.good(line);
    }

    pub(crate) fn good(&self, line: &str) {
        self.screen.line(Tone::Good, &format!("  ✔ {line}"));
    }

    pub(crate) fn miss(&mut self, what: String) {
        self.screen.line(Tone::Bad, &format!("  ✘ missing: {what}"));
        self.account.missing.push(what);
    }

    /// Something was found that nobody provoked.
    pub(crate) fn stranger(&mut self, finding: &Finding) {
        let text = format!("{} ({}): {}", finding.brief(), finding.grade, finding.summary);
        self.screen.line(Tone::Bad, &format!("  ✘ not provoked: {text}"));
        self.account.extra.push(text);
        // Once is enough.
        self.account.met.insert(finding.id.clone());
    }

    /// Waits for so many further turns of the daemon.
    pub(crate) async fn turns(&mut self, turns: u32) -> anyhow::Result<()> {
        let mut last = self.stage.dashboard().as_of().await.unwrap_or_default();
        let mut left = turns;
        self.until("the daemon reads the cluster", SOON, async |tour: &mut Self| {
            let now = tour.stage.dashboard().as_of().await.map_err(|error| format!("{error:#}"))?;
            if now != last {
                left = left.saturating_sub(1);
                last = now;
            }
            if left == 0 { Ok(()) } else { Err(format!("{left} turns to go")) }
        })
        .await?;
        Ok(())
    }

    /// Waits until all replicas are in sync, and no state that was found holds any more.
    async fn calm(&mut self) -> anyhow::Result<()> {
        self.until("everything is calm again", CALM_LIMIT, async |tour: &mut Self| {
            let behind = tour.stage.out_of_sync().await.map_err(|error| error.to_string())?;
            if !behind.is_empty() {
                return Err(format!("not in sync: {behind:?}"));
            }
            let findings = tour.stage.dashboard().findings().await.map_err(|error| format!("{error:#}"))?;
            let open = findings.iter().filter(|one| one.is_open() && one.nature == "state" && one.grade != "risk");
            let open: Vec<String> = open.map(Finding::brief).collect();
            if open.is_empty() { Ok(()) } else { Err(format!("still open: {}", open.join("; "))) }
        })
        .await?;
        Ok(())
    }

    /// The balance of a lap: nothing else is proven, and of everything provoked a notice came.
    async fn close(&mut self) {
        for finding in self.findings().await {
            if finding.grade == "proven" && !self.account.met.contains(&finding.id) {
                self.stranger(&finding);
            }
        }
        let mut besides: BTreeMap<String, usize> = BTreeMap::new();
        for finding in self.findings().await.iter().filter(|one| !self.account.met.contains(&one.id)) {
            *besides.entry(format!("{} ({})", finding.kind, finding.grade)).or_default() += 1;
        }
        if !besides.is_empty() {
            let kinds: Vec<String> = besides.into_iter().map(|(kind, count)| format!("{kind} ×{count}")).collect();
            self.screen.say("");
            self.screen.line(Tone::Faint, &format!("Seen besides, and not proven: {}.", kinds.join(", ")));
        }
        let told = self.stage.receiver.told();
        for kind in self.account.kinds.clone() {
            if !told.contains_key(&kind) {
                self.miss(format!("a notice of {kind}"));
            }
        }
    }
}
