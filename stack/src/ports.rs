//! Gives each backend its own port, close to the proxy's, so that the printed screen is the same at every start.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

/// Backends listen on loopback only: the proxy is the way in.
const BACKEND_IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Binds one listener per backend: the ports after `proxy_port` where they are free, any free port where not.
///
/// # Errors
/// When not even a free port can be had.
pub(crate) async fn bind_backends(proxy_port: u16, count: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(usize::from(count));
    for number in 1..=count {
        let wanted = proxy_port.checked_add(number).unwrap_or(0);
        let listener = match TcpListener::bind(SocketAddr::new(BACKEND_IP, wanted)).await {
            Ok(listener) => listener,
            Err(_taken) => TcpListener::bind(SocketAddr::new(BACKEND_IP, 0)).await?,
        };
        listeners.push(listener);
    }
    Ok(listeners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_replaced_by_a_free_one() {
        let taken = TcpListener::bind((BACKEND_IP, 0)).await.unwrap();
        let taken_port = taken.local_addr().unwrap().port();

        let listeners = bind_backends(taken_port - 1, 2).await.unwrap();

        let ports: Vec<u16> = listeners
            .iter()
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        assert_eq!(ports.len(), 2);
        assert!(!ports.contains(&taken_port));
        assert_ne!(ports[0], ports[1]);
    }
}
