//! An exchange that is a small HTTP/2 request and its answer, one at a time on each connection.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Request, StatusCode};

use super::drive::{Next, Scene, Session};
use super::tally::Failure;

/// On TLS the target must offer `h2`; on a plain connection the server must know beforehand.
pub struct H2 {
    send: SendRequest<Bytes>,
    request: Request<()>,
}

impl Session for H2 {
    const NAME: &'static str = "h2";

    async fn open(scene: &Scene, index: usize) -> Result<Self, Failure> {
        let target = &scene.target;
        let stream = target.connect(index).await;
        let stream = stream.map_err(|_| Failure::Connect)?;
        let (send, connection) = h2::client::handshake(stream).await?;
        // It ends with the connection; what breaks there, breaks the exchange too.
        tokio::task::spawn_local(async { connection.await.unwrap_or_default() });
        let scheme = if target.is_tls() { "https" } else { "http" };
        let uri = format!("{scheme}://{}{}", target.host, target.path);
        Ok(Self {
            send,
            request: Request::get(uri).body(()).map_err(|_| Failure::Wrong)?,
        })
    }

    async fn once(&mut self) -> Result<Next, Failure> {
        let mut send = self.send.clone().ready().await?;
        let (answer, _) = send.send_request(self.request.clone(), true)?;
        let answer = answer.await?;
        if answer.status() != StatusCode::OK {
            return Err(Failure::Status);
        }
        let mut body = answer.into_body();
        while let Some(part) = body.data().await {
            let part = part?;
            body.flow_control().release_capacity(part.len())?;
        }
        Ok(Next::Same)
    }
}

impl From<h2::Error> for Failure {
    fn from(error: h2::Error) -> Self {
        if error.is_reset() {
            Self::Status
        } else {
            Self::Closed
        }
    }
}
