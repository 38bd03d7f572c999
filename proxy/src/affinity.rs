//! Which server a client already belongs to. One module per method; `choose` asks before it balances.

pub mod cookie;
