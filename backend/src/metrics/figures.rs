//! The instruments as JSON, for programs that do not read the exposition format.

use prometheus::proto::{Histogram, Metric, MetricFamily, MetricType};
use serde_json::{Map, Value, json};

use super::Metrics;

impl Metrics {
    /// By name: a number, or an object of numbers by label; histograms as `{count, sum, buckets: [[upTo, count]]}`, cumulative.
    #[must_use]
    pub fn figures(&self) -> Map<String, Value> {
        let families = self.registry.gather();
        families
            .iter()
            .map(|family| (family.name().to_owned(), figure(family)))
            .collect()
    }
}

fn figure(family: &MetricFamily) -> Value {
    let kind = family.get_field_type();
    let metrics = family.get_metric();
    match metrics {
        [metric] if metric.get_label().is_empty() => value(kind, metric),
        _ => metrics
            .iter()
            .map(|metric| (label(metric), value(kind, metric)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// Ours have one label each.
fn label(metric: &Metric) -> String {
    let values: Vec<&str> = metric.get_label().iter().map(|pair| pair.value()).collect();
    values.join(" ")
}

fn value(kind: MetricType, metric: &Metric) -> Value {
    match kind {
        MetricType::COUNTER => json!(metric.get_counter().get_value()),
        MetricType::GAUGE => json!(metric.get_gauge().get_value()),
        MetricType::HISTOGRAM => histogram(metric.get_histogram()),
        MetricType::SUMMARY | MetricType::UNTYPED => Value::Null,
    }
}

fn histogram(histogram: &Histogram) -> Value {
    let buckets: Vec<Value> = histogram
        .get_bucket()
        .iter()
        .map(|bucket| json!([bucket.upper_bound(), bucket.cumulative_count()]))
        .collect();
    json!({
        "count": histogram.get_sample_count(),
        "sum": histogram.get_sample_sum(),
        "buckets": buckets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_instrument_has_its_shape() {
        let metrics = Metrics::new().unwrap();
        metrics.chat.duplicates_total.inc();
        metrics
            .chat
            .messages_total
            .with_label_values(&["stored"])
            .inc_by(3);
        metrics.chat.ack_seconds.observe(0.002);
        let figures = metrics.figures();
        assert_eq!(figures["chat_duplicates_total"], json!(1.0));
        assert_eq!(figures["chat_messages_total"]["stored"], json!(3.0));
        let acks = &figures["chat_ack_seconds"];
        assert_eq!(
            (&acks["count"], &acks["buckets"][0]),
            (&json!(1), &json!([0.0005, 0]))
        );
    }
}
