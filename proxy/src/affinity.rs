//! Which server a client already belongs to. One module per method; `choose` asks before it balances.

use crate::pool::Server;

pub mod cookie;
pub mod sid;
pub mod signature;

/// How requests name their server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// In the Engine.IO session id: see `sid`.
    Sid,
    /// In the sticky cookie: see `cookie`.
    Cookie,
}

impl Method {
    /// The metric's label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Sid => "sid",
            Self::Cookie => "cookie",
        }
    }
}

/// What a request carries of one method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark<'a> {
    pub method: Method,
    /// Compared with the names of servers that exist, so a forged one is nobody's.
    pub name: &'a [u8],
    /// No other server can serve the request.
    pub is_only: bool,
}

impl Mark<'_> {
    #[must_use]
    pub fn names(&self, server: &Server) -> bool {
        let name = match self.method {
            Method::Sid => &server.tag,
            Method::Cookie => &server.mark,
        };
        // An empty name is nobody's, whatever a program that embeds the proxy calls its servers.
        !self.name.is_empty() && name.as_bytes() == self.name
    }
}

/// The marks of a request, in the order in which they are tried.
pub type Marks<'a> = [Option<Mark<'a>>; 2];
