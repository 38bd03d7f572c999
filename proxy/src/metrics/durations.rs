//! How long requests took: a histogram for each thread, which are one for who reads them.
//!
//! A histogram changes four numbers with every observation.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Metric, MetricFamily};
use prometheus::{Histogram, HistogramOpts, HistogramVec};

use crate::by_thread::ByThread;

/// By upstream.
#[derive(Clone, Debug)]
pub(super) struct Durations(Arc<ByThread<HistogramVec>>);

impl Durations {
    /// # Errors
    /// When the options make no histogram.
    pub(super) fn new(options: &HistogramOpts) -> prometheus::Result<Self> {
        let make = || HistogramVec::new(options.clone(), &["upstream"]);
        Ok(Self(Arc::new(ByThread::try_from_fn(make)?)))
    }

    /// This thread's part of an upstream's.
    pub(super) fn mine(&self, upstream: &str) -> Histogram {
        self.0.mine().with_label_values(&[upstream])
    }
}

impl Collector for Durations {
    fn desc(&self) -> Vec<&Desc> {
        self.0.all().next().map(Collector::desc).unwrap_or_default()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.0.all().flat_map(Collector::collect);
        let Some(mut sum) = families.next() else {
            return Vec::new();
        };
        for family in families {
            for part in family.get_metric() {
                let mut known = sum.mut_metric().iter_mut();
                match known.find(|known| known.get_label() == part.get_label()) {
                    Some(known) => add(known, part),
                    None => sum.mut_metric().push(part.clone()),
                }
            }
        }
        vec![sum]
    }
}

/// Both have the same buckets.
fn add(sum: &mut Metric, part: &Metric) {
    let (mut histogram, part) = (sum.get_histogram().clone(), part.get_histogram());
    histogram.set_sample_count(histogram.get_sample_count() + part.get_sample_count());
    histogram.set_sample_sum(histogram.get_sample_sum() + part.get_sample_sum());
    let pairs = histogram.get_bucket().iter().zip(part.get_bucket());
    let buckets = pairs.map(|(sum, part)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(sum.upper_bound());
        bucket.set_cumulative_count(sum.cumulative_count() + part.cumulative_count());
        bucket
    });
    let buckets = buckets.collect();
    histogram.set_bucket(buckets);
    sum.set_histogram(histogram);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_observe_is_one_histogram() {
        let options = HistogramOpts::new("took", "It took.").buckets(vec![1.0, 5.0]);
        let durations = Durations::new(&options).unwrap();
        std::thread::scope(|scope| {
            for upstream in ["a", "b", "a"] {
                let durations = &durations;
                scope.spawn(move || {
                    for seconds in [0.5, 2.0, 2.0, 9.0] {
                        durations.mine(upstream).observe(seconds);
                    }
                });
            }
        });
        let families = durations.collect();
        assert_eq!(families.len(), 1);
        let mut told: Vec<_> = families[0]
            .get_metric()
            .iter()
            .map(|metric| {
                let histogram = metric.get_histogram();
                let buckets = histogram.get_bucket().iter();
                (
                    metric.get_label()[0].value().to_owned(),
                    histogram.get_sample_count(),
                    histogram.get_sample_sum(),
                    buckets.map(Bucket::cumulative_count).collect::<Vec<_>>(),
                )
            })
            .collect();
        told.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(
            told,
            [
                ("a".to_owned(), 8, 27.0, vec![2, 6]),
                ("b".to_owned(), 4, 13.5, vec![1, 3])
            ]
        );
    }
}
