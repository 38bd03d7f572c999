//! A simulated client: what it knows and decides is pure (`mind`, `timeline`, `packet`), how it lives and talks is not (`life`, `wire`).

pub(crate) mod company;
pub(crate) mod life;
pub(crate) mod mind;
mod outbox;
mod packet;
mod timeline;
mod vanilla;
mod wire;

pub(crate) use wire::Transport;
