//! HTTP as a test needs it: a plain client, raw bytes for what no client would send, and reading of metrics.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::eventually::{eventually, within};

pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A client that ignores the machine's proxy settings and keeps no cookies.
///
/// # Panics
/// Never, short of a broken build of the client.
#[must_use]
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(DEADLINE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("an HTTP client")
}

/// # Panics
/// When nobody answers.
pub async fn get(url: &str) -> reqwest::Response {
    client()
        .get(url)
        .send()
        .await
        .unwrap_or_else(|error| panic!("GET {url}: {error}"))
}

/// The status, or nothing when nobody answers.
pub async fn status(url: &str) -> Option<u16> {
    let answer = client().get(url).send().await.ok()?;
    Some(answer.status().as_u16())
}

/// # Panics
/// When the answer is no JSON.
pub async fn json(url: &str) -> Value {
    let text = get(url).await.text().await.expect("a body");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("GET {url}: {error} in {text:?}"))
}

/// Waits until the address answers with this status.
///
/// # Panics
/// When it does not in time.
pub async fn answers(url: &str, wanted: u16, deadline: Duration) {
    let what = format!("{url} answers {wanted}");
    eventually(&what, deadline, async || {
        (status(url).await == Some(wanted)).then_some(())
    })
    .await;
}

/// Sends exactly these bytes and reads until the other side closes or goes quiet after an answer.
///
/// # Panics
/// When nobody listens or nothing comes back.
pub async fn raw(address: &str, request: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        // A server may answer and close before it has read everything; then the rest of our bytes has no reader.
        if let Err(error) = stream.write_all(request).await {
            eprintln!("writing to {address} stopped early: {error}");
        }
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        while let Ok(count) = stream.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..count]);
            if count == 0 || has_whole_body(&answer) {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    within(&format!("an answer from {address}"), DEADLINE, exchange).await
}

/// The status of a raw answer, or 0 if it is none.
#[must_use]
pub fn status_of(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or(0)
}

fn has_whole_body(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

/// The sum over the samples of one metric whose labels contain all of these, or nothing if there is none.
#[must_use]
pub fn metric(page: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let samples = samples(page, name, labels);
    (!samples.is_empty()).then(|| samples.iter().sum())
}

/// Whether the metric has samples and each has this value.
#[must_use]
pub fn each_is(page: &str, name: &str, value: f64) -> bool {
    let samples = samples(page, name, &[]);
    let differs = |sample: &f64| (sample - value).abs() > f64::EPSILON;
    !samples.is_empty() && !samples.iter().any(differs)
}

fn samples(page: &str, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
    let has_labels = |series: &str| {
        labels
            .iter()
            .all(|(label, value)| series.contains(&format!("{label}=\"{value}\"")))
    };
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(series, _)| series.split('{').next() == Some(name) && has_labels(series))
        .map(|(series, value)| {
            value
                .parse()
                .unwrap_or_else(|_| panic!("{series} is {value:?}"))
        })
        .collect()
}
