//! `status`: what the running proxy says about its servers, as a table or as it said it.

use std::path::Path;

use anyhow::Context as _;
use berth_proxy::status::Status;

use super::{Failure, admin_of, say};
use crate::probe;

pub(super) fn status(file: &Path, json: bool) -> Result<(), Failure> {
    let body = probe::status(admin_of(file)?)?;
    // Also what is passed on as it came has to be what was asked for.
    let status: Status = serde_json::from_str(&body)
        .context("what the admin listener answered is not the status of a berth-proxy")?;
    if json {
        say(body.trim_end())
    } else {
        say(status.to_string().trim_end())
    }
}
