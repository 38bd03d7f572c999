//! `[upstream.NAME.handshakes]`: how many Engine.IO sessions may begin, in the words of nginx's `limit_req`.

use super::keys;
use super::quantity::PerMinute;
use super::table::Table;
use crate::settings::{Handshakes, Rate};

pub(super) fn read(upstream: &mut Table<'_>) -> Handshakes {
    let Some(mut table) = upstream.table("handshakes", "upstream.NAME.handshakes") else {
        return Handshakes::default();
    };
    let handshakes = Handshakes {
        overall: rate(&mut table, &keys::HANDSHAKE_RATE, &keys::HANDSHAKE_BURST),
        per_server: rate(
            &mut table,
            &keys::HANDSHAKE_RATE_PER_SERVER,
            &keys::HANDSHAKE_BURST_PER_SERVER,
        ),
    };
    let has_any = table.get(keys::HANDSHAKE_RATE.name).is_some()
        || table.get(keys::HANDSHAKE_RATE_PER_SERVER.name).is_some();
    if !has_any {
        table.missing(
            keys::HANDSHAKE_RATE.name,
            "is missing, so nothing is limited; write rate = \"200/s\", or rate_per_server",
        );
    }
    table.finish();
    handshakes
}

fn rate(
    table: &mut Table<'_>,
    rate: &keys::OptionalKey<PerMinute>,
    burst: &keys::OptionalKey<u32>,
) -> Option<Rate> {
    let is_there = table.get(rate.name).is_some();
    let read = table.optional(rate);
    if let Some(node) = table.get(burst.name)
        && !is_there
    {
        let message = format!("has no effect without {}; leave it out", rate.name);
        node.report.wrong(&node.key_place, &node.path, message);
    }
    let burst = table.optional(burst);
    let PerMinute(per_minute) = read?;
    // What comes in a second.
    let usual = u32::try_from(per_minute / 60).unwrap_or(u32::MAX).max(1);
    Some(Rate {
        per_minute,
        burst: burst.unwrap_or(usual),
    })
}
