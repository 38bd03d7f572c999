//! Whole proxies over real sockets.
