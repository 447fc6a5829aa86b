//! Samples by metric, handed to a prometheus registry as one collector.

use std::collections::BTreeMap;

use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto;

use super::table::{Metric, Type};
use crate::publish::Histogram;

/// Samples by metric.
#[derive(Clone, Debug, Default)]
pub(super) struct Families {
    samples: BTreeMap<&'static str, (Metric, Vec<proto::Metric>)>,
    series: usize,
}

/// Prometheus has no integers.
#[expect(clippy::cast_precision_loss, reason = "a count beyond 2^53 is shown to 16 digits")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

impl Families {
    /// One gauge.
    pub(super) fn gauge(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        debug_assert_eq!(metric.kind, Type::Gauge, "{}", metric.name);
        let mut gauge = proto::Gauge::default();
        gauge.set_value(value);
        self.push(metric, labels, 1).set_gauge(gauge);
    }

    /// One counter.
    pub(super) fn counter(&mut self, metric: &Metric, labels: &[&str], value: u64) {
        debug_assert_eq!(metric.kind, Type::Counter, "{}", metric.name);
        let mut counter = proto::Counter::default();
        counter.set_value(number(value));
        self.push(metric, labels, 1).set_counter(counter);
    }

    /// One histogram.
    pub(super) fn histogram(&mut self, metric: &Metric, labels: &[&str], value: &Histogram) {
        debug_assert_eq!(metric.kind, Type::Histogram, "{}", metric.name);
        let mut cumulated = 0;
        let buckets = value.bounds.iter().zip(&value.buckets).map(|(bound, samples)| {
            cumulated += samples;
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(cumulated);
            bucket
        });
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_sum(value.sum);
        histogram.set_sample_count(value.count);
        // The open bucket, the sum and the count are series too.
        self.push(metric, labels, value.bounds.len() + 3).set_histogram(histogram);
    }

    /// How many series there are.
    pub(super) fn series(&self) -> usize {
        self.series
    }

    fn push(&mut self, metric: &Metric, values: &[&str], series: usize) -> &mut proto::Metric {
        debug_assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
        let labels = metric.labels.iter().zip(values).map(|(name, value)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        let mut sample = proto::Metric::default();
        sample.set_label(labels.collect());
        self.series += series;
        let (_, samples) = self.samples.entry(metric.name).or_insert_with(|| (*metric, Vec::new()));
        samples.push(sample);
        samples.last_mut().expect("one was pushed")
    }

    /// The text format 0.0.4.
    pub(super) fn text(self) -> Result<String, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(Collected::of(self)?))?;
        prometheus::TextEncoder::new().encode_to_string(&registry.gather())
    }
}

struct Collected {
    descs: Vec<Desc>,
    families: Vec<proto::MetricFamily>,
}

impl Collected {
    fn of(families: Families) -> Result<Self, prometheus::Error> {
        let mut collected = Self { descs: Vec::new(), families: Vec::new() };
        for (name, (metric, samples)) in families.samples {
            let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
            collected.descs.push(Desc::new(name.to_owned(), metric.help.to_owned(), labels, Default::default())?);
            let mut family = proto::MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(metric.help.to_owned());
            family.set_field_type(match metric.kind {
                Type::Counter => proto::MetricType::COUNTER,
                Type::Gauge => proto::MetricType::GAUGE,
                Type::Histogram => proto::MetricType::HISTOGRAM,
            });
            family.set_metric(samples);
            collected.families.push(family);
        }
        Ok(collected)
    }
}

impl Collector for Collected {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        self.families.clone()
    }
}
