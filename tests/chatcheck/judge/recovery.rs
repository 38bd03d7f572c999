//! How long clients took to come back: from the loss of the connection, or from wanting to be back, to having caught up.

use std::collections::BTreeMap;

use super::{Breaches, Law};
use crate::record::{ClientId, Did, Kind, Line};

/// Sums over all clients that recover.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    pub(crate) disconnects: u64,
    /// In microseconds.
    pub(crate) times: Vec<u64>,
}

struct Absence {
    since_micros: u64,
    line: usize,
}

/// Every client that recovers is back at the end, or that is a loss of its own.
pub(crate) fn check(history: &[Line], breaches: &mut Breaches) -> Recovery {
    let mut recovery = Recovery::default();
    let mut absences: BTreeMap<ClientId, Absence> = BTreeMap::new();
    let mut vanilla: BTreeMap<ClientId, ()> = BTreeMap::new();
    for (line, entry) in history.iter().enumerate() {
        let Some(client) = entry.client else {
            continue;
        };
        match &entry.did {
            Did::Up {
                kind: Kind::Vanilla,
                ..
            } => {
                vanilla.insert(client, ());
            }
            Did::Down { .. } if !vanilla.contains_key(&client) => {
                recovery.disconnects += 1;
                // Lost again before it had caught up: it is still the same absence.
                let since_micros = entry.micros;
                absences
                    .entry(client)
                    .or_insert(Absence { since_micros, line });
            }
            Did::Back => {
                if let Some(absence) = absences.get_mut(&client) {
                    absence.since_micros = entry.micros;
                }
            }
            Did::CaughtUp => {
                if let Some(absence) = absences.remove(&client) {
                    recovery.times.push(entry.micros - absence.since_micros);
                }
            }
            _ => {}
        }
    }
    for (client, absence) in absences {
        let what = format!("client {client} lost its connection and never caught up again");
        breaches.add(Law::I3, what, [absence.line]);
    }
    recovery
}
