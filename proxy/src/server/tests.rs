//! Whole proxies over real sockets on free ports. Nothing here sleeps: everything waits for what it expects.

mod checks;
mod cluster;
mod cookie;
mod edge;
mod exchange;
mod explain;
mod h2;
mod handshakes;
mod limits;
mod linger;
mod reload;
mod session;
mod status;
mod stop;
mod tls;
mod tunnel;
mod wire;
