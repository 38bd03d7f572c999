//! The proxy of the stack: the backend with the fewest connections, sticky by session id, in a thread of its own because it owns its runtime.

use std::net::SocketAddr;
use std::thread;

use anyhow::{Context, anyhow};
use berth_proxy::server::{Control, Handle, Source};
use tokio::sync::oneshot;

/// A proxy that listens.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    handle: Handle,
    ended: oneshot::Receiver<anyhow::Result<()>>,
}

impl Proxy {
    /// Starts it and returns once it takes clients.
    ///
    /// # Errors
    /// When the address cannot be bound; the reason is the proxy's own.
    pub(crate) async fn start(listen: SocketAddr, backends: &[SocketAddr]) -> anyhow::Result<Self> {
        let settings = berth_proxy::config::parse("berth up", &config(listen, backends))
            .map_err(|problems| anyhow!("{problems}"))?;
        let (ready_sender, ready) = oneshot::channel();
        let (ended_sender, mut ended) = oneshot::channel();
        let (control, handle) = Control::embedded();
        let control = control.on_ready(move |listening| {
            let address = listening.addresses.first().copied();
            if ready_sender.send(address).is_err() {
                tracing::debug!("nobody waits for the proxy any more: the stack is stopping");
            }
        });
        thread::Builder::new()
            .name("berth-proxy".to_owned())
            .spawn(move || {
                drop(ended_sender.send(berth_proxy::server::run(settings, Source::Fixed, control)));
            })
            .context("cannot start the proxy's thread")?;
        tokio::select! {
            Ok(Some(address)) = ready => Ok(Self { address, handle, ended }),
            end = &mut ended => match end? {
                Ok(()) => Err(anyhow!("the proxy ended before it listened")),
                Err(error) => Err(error.context(format!("cannot listen on {listen}"))),
            },
        }
    }

    /// Waits until it ends by itself, which it only does when something is wrong.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.ended).await.context("the proxy's thread died")?
    }

    /// Says goodbye to open WebSockets and ends it.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.handle.stop();
        self.ended.await.context("the proxy's thread died")?
    }
}

/// The proxy's file, as a person would write it: the defaults stay in one place.
///
/// Sticky by session id and nothing else: clients that poll stay on their backend, while two windows of one browser,
/// which connect by WebSocket and share all cookies, land on different ones: where one is, there is a connection more.
/// In turn would not do: it depends on how many files a page has.
///
/// Backends are asked how they are: one that drains refuses everybody, and soon has the fewest connections.
fn config(listen: SocketAddr, backends: &[SocketAddr]) -> String {
    let servers: Vec<String> = backends
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    format!(
        "[server]\nlisten = [\"{listen}\"]\n[upstream.berth]\nbalance = \"least_conn\"\nsticky = [\"sid\"]\nservers = [{}]\n\
         [upstream.berth.health_check]\npath = \"/health/readiness\"\ninterval = \"1s\"\nrise = 1\nfall = 1\n",
        servers.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_s_file_passes_the_proxy_s_own_check() {
        let text = config(
            "127.0.0.1:8080".parse().unwrap(),
            &["127.0.0.1:8081".parse().unwrap()],
        );

        let settings = berth_proxy::config::parse("berth up", &text).unwrap();

        assert_eq!(settings.upstreams[0].servers.len(), 1);
    }
}
