//! What is wrong between a Socket.IO client and its servers, seen from outside: what `berth-proxy doctor` says.
//!
//! `examine` asks, as clients do, any server or proxy; `judge` turns what was seen into findings and is pure.
//! Nothing is sent that an app would hear.

mod ask;
mod certificate;
mod dial;
mod examine;
pub mod finding;
pub mod jar;
pub mod judge;
pub mod packet;
mod polling;
pub mod seen;
pub mod target;
mod websocket;

pub use examine::Examination;
pub use finding::Report;

/// Examines and judges. `tell` hears what is being done.
pub async fn diagnose(examination: &Examination, tell: &(dyn Fn(&str) + Sync)) -> Report {
    let seen = examine::examine(examination, tell).await;
    let url = format!("{}{}", examination.target.base(), examination.target.path);
    Report::new(url, judge::judge(&seen))
}
