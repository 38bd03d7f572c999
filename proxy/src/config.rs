//! From a file to checked `Settings`, or to every problem that the file has.
//!
//! Owns the file's words, defaults and bounds; `config/proxy.toml` is their reference. Does not own what the settings
//! do, opens no socket and looks up no name: a file can be checked on a machine that knows none of its servers.

mod address;
mod balance;
mod cookie;
mod handshakes;
mod health_check;
mod keys;
mod listener;
mod problem;
mod quantity;
mod route;
mod server;
mod sid;
mod signature;
mod sticky;
mod syntax;
mod table;
mod tls;
mod upstream;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use self::problem::Report;
pub use self::problem::{Problem, Problems};
use self::quantity::Quantity as _;
use self::table::Table;
use crate::settings::Settings;

/// Larger than any real file; keeps a mistaken path (a log, a disk image) from being read into memory.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads and judges the file at `path`.
///
/// # Errors
/// Every problem of the file at once, each with its place and what would be right.
pub fn load(path: &Path) -> Result<Settings, Problems> {
    let file = path.display().to_string();
    let text = read(path, &file)?;
    let report = Report::default();
    let settings = judge(&text, &report, path.parent());
    report.into_result(&file, &text, settings)
}

/// Judges `text`; `file` is what the problems call it, and the folder it would be in is where certificates are looked
/// for.
///
/// # Errors
/// Every problem of the text at once.
pub fn parse(file: &str, text: &str) -> Result<Settings, Problems> {
    let report = Report::default();
    let settings = judge(text, &report, Path::new(file).parent());
    report.into_result(file, text, settings)
}

/// Judges `text` by itself: files that it names are not looked at, so there are no settings to be had.
///
/// # Errors
/// Every problem of the text at once.
pub(crate) fn judge_form(file: &str, text: &str) -> Result<(), Problems> {
    let report = Report::default();
    judge(text, &report, None);
    report.into_result(file, text, ())
}

/// Where the admin listener of the file at `path` is, whatever else is wrong in that file: a probe of a running
/// proxy must not fail because somebody is halfway through an edit.
///
/// # Errors
/// The problems of the file if it cannot be read or says nothing usable about `admin.listen`.
pub fn load_admin(path: &Path) -> Result<Option<SocketAddr>, Problems> {
    let file = path.display().to_string();
    let text = read(path, &file)?;
    let report = Report::default();
    let admin = judge(&text, &report, None).admin;
    match admin {
        Some(address) => Ok(Some(address)),
        None => report.into_result(&file, &text, None),
    }
}

/// A time as the file writes it, for the command line.
///
/// # Errors
/// What would be right, if it is none.
pub fn time(text: &str) -> Result<Duration, String> {
    Duration::read(&DeValue::String(text.into()))
}

fn read(path: &Path, file: &str) -> Result<String, Problems> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|open| open.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            let why =
                format!("cannot be read: {error}; write the path of a readable file after -c");
            Problems::of_file(file, why)
        })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let why = format!("is longer than {FILE_BYTES_MAX} bytes; is it a configuration file?");
        return Err(Problems::of_file(file, why));
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let readable = String::from_utf8_lossy(&error.as_bytes()[..place]).into_owned();
        Problems::of_text(
            file,
            &readable,
            place,
            "is not UTF-8 from here on; save the file as UTF-8 text",
        )
    })
}

/// Reads the whole text and reports everything that is wrong with it. What comes back is complete, with defaults in
/// the place of what could not be read, and may be used only if nothing was reported. `folder` is where the files lie
/// that it names; `None`: they are not read.
fn judge(text: &str, report: &Report, folder: Option<&Path>) -> Settings {
    let (tree, errors) = DeTable::parse_recoverable(text);
    syntax::report(text, tree.get_ref(), &errors, report);

    let mut file = Table::root(tree.get_ref(), report);
    let server = listener::server(&mut file, folder);
    let admin = listener::admin(&mut file, &server.listen);
    let upstreams = upstream::all(&mut file);
    let routes = route::all(&mut file, &upstreams);
    file.finish();

    Settings {
        listen: server.listen,
        certificates: server.certificates,
        admin,
        pid_file: server.pid_file,
        trusted_proxies: server.trusted_proxies,
        drain_timeout: server.drain_timeout,
        limits: server.limits,
        threads: server.threads,
        upstreams,
        routes,
    }
}
