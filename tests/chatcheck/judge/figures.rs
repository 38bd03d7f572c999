//! The numbers of one row.

use std::collections::HashSet;

use serde::Serialize;

use super::presence::Attendance;
use super::reception::Reception;
use super::recovery::Recovery;
use super::stored::Stored;
use crate::record::{Did, Line};

/// Of many durations, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) count: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Quantiles {
    pub(crate) fn of(mut values: Vec<u64>) -> Self {
        values.sort_unstable();
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100).max(1);
            values.get(rank - 1).copied().unwrap_or(0)
        };
        Self {
            count: values.len() as u64,
            p50: at(50),
            p99: at(99),
            max: at(100),
        }
    }
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    pub(crate) clients: u64,
    /// Different messages that clients tried to send.
    pub(crate) sent: u64,
    pub(crate) stored: u64,
    pub(crate) acks: u64,
    pub(crate) nacks: u64,
    /// Deliveries that clients are owed.
    pub(crate) owed: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) misordered: u64,
    pub(crate) wire_duplicates: u64,
    pub(crate) live_gaps: u64,
    pub(crate) disconnects: u64,
    pub(crate) recovery_micros: Quantiles,
    pub(crate) delivery_micros: Quantiles,
    /// Lists of who is there that were judged, and how many of them were wrong.
    pub(crate) views: u64,
    pub(crate) views_wrong: u64,
    /// People who were told to be away while they were there.
    pub(crate) flaps: u64,
    /// From a departure, or from the end of the last fault, to each client's being told.
    pub(crate) gone_micros: Quantiles,
}

impl Figures {
    pub(super) fn new(
        history: &[Line],
        stored: &Stored,
        misordered_sends: u64,
        (reception, recovery, attendance): (Reception, Recovery, Attendance),
    ) -> Self {
        let clients: HashSet<u32> = history.iter().filter_map(|line| line.client).collect();
        let count =
            |is: fn(&Did) -> bool| history.iter().filter(|line| is(&line.did)).count() as u64;
        let messages = || stored.messages.values();
        let missing =
            messages().filter(|message| !message.acks.is_empty() && message.places.is_empty());
        let again = messages().map(|message| message.places.len().saturating_sub(1) as u64);
        Self {
            clients: clients.len() as u64,
            sent: messages()
                .filter(|message| !message.sends.is_empty())
                .count() as u64,
            stored: messages().map(|message| message.places.len() as u64).sum(),
            acks: count(|did| matches!(did, Did::Ack { .. })),
            nacks: count(|did| matches!(did, Did::Nack { .. } | Did::Refused { .. })),
            owed: reception.owed,
            lost: reception.lost + missing.count() as u64,
            doubled: reception.doubled + again.sum::<u64>(),
            misordered: reception.misordered + misordered_sends,
            wire_duplicates: reception.wire_duplicates,
            live_gaps: reception.live_gaps,
            disconnects: recovery.disconnects,
            recovery_micros: Quantiles::of(recovery.times),
            delivery_micros: Quantiles::of(reception.delays),
            views: attendance.views,
            views_wrong: attendance.wrong,
            flaps: attendance.flaps,
            gone_micros: Quantiles::of(attendance.gone_micros),
        }
    }

    /// Of the deliveries that are owed, in percent.
    pub(crate) fn delivered_percent(&self) -> f64 {
        if self.owed == 0 {
            return 0.0;
        }
        let delivered = self.owed.saturating_sub(self.lost);
        #[allow(clippy::cast_precision_loss, reason = "a percentage for people")]
        let percent = delivered as f64 * 100.0 / self.owed as f64;
        percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_there() {
        assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
        let one_to_hundred = Quantiles::of((1..=100).rev().collect());
        assert_eq!((one_to_hundred.p50, one_to_hundred.p99), (50, 99));
        assert_eq!(one_to_hundred.max, 100);
    }
}
