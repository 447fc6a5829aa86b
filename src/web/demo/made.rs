//! Its past.

use std::time::Duration;

use super::number;
use crate::alert::NoticeStatus;
use crate::model::Timestamp;
use crate::web::past::{Answer, Column, Deliveries, Delivery, History, HistoryQuery, Past, PastError, SeriesName};

/// A past made up from the question: enough points to draw, with a gap.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// What it answers instead, if so.
    pub(crate) trouble: Option<PastError>,
    /// True when it never answers.
    pub(crate) hangs: bool,
}

impl Past for Made {
    fn history(&self, query: HistoryQuery) -> Answer<'_, History> {
        Box::pin(async move {
            self.mood().await?;
            let step = query.to.since(query.from).as_secs().max(240) / 240;
            let times = (0..240).map(|at| query.from + Duration::from_secs(at * step)).collect();
            let names: &[&str] = match query.series {
                SeriesName::GroupLagRecords | SeriesName::GroupLagSeconds => &["lag"],
                SeriesName::PartitionHighWatermark => &["high_watermark"],
                SeriesName::CanaryLatencySeconds => &["all p50", "all p99", "acks1 p50", "acks1 p99"],
                SeriesName::CanaryOutcomes => &["delivered", "late", "lost"],
            };
            let phase = query.group.map_or(3, |group| group.as_str().len());
            let column = |(nth, name): (usize, &&str)| Column {
                name: (*name).to_owned(),
                values: (0..240_u32)
                    .map(|at| {
                        let wave = f64::from(at + number(phase) * 17) / 19.0;
                        let value = (wave.sin() + 1.2) * 900.0 * f64::from(number(nth) + 1) + f64::from(at * 13 % 97);
                        (!(140..152).contains(&at)).then_some(value)
                    })
                    .collect(),
            };
            Ok(History { times, columns: names.iter().enumerate().map(column).collect() })
        })
    }

    fn deliveries(&self, skip: u64, limit: u64) -> Answer<'_, Deliveries> {
        Box::pin(async move {
            self.mood().await?;
            let all = (0..7_u64).map(|at| Delivery {
                notice: format!("f{at:04}/firing/ops"),
                alert: format!("f{at:04}"),
                receiver: "ops".to_owned(),
                status: if at == 2 { NoticeStatus::Resolved } else { NoticeStatus::Firing },
                outcome: if at == 0 { "retried" } else { "delivered" }.to_owned(),
                at: Timestamp::from_millis(1_795_336_103_007),
                attempts: if at == 0 { 3 } else { 1 },
                last_attempt_at: Some(Timestamp::from_millis(1_795_336_104_007)),
                next_attempt_at: (at == 0).then_some(Timestamp::from_millis(1_795_336_164_007)),
                error: (at == 0).then(|| "503 Service Unavailable".to_owned()),
            });
            let page = |number: u64| usize::try_from(number).expect("few");
            Ok(Deliveries { items: all.skip(page(skip)).take(page(limit)).collect(), total: 7 })
        })
    }
}

impl Made {
    async fn mood(&self) -> Result<(), PastError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        self.trouble.clone().map_or(Ok(()), Err)
    }
}
