//! A request that is no WebSocket, from its head to the end of its answer.
//!
//! Owns the order of things: take a server, ask it, pass its answer on, and say how it went exactly once, whatever
//! happens (`Drop`). Which server, what an error means and what a client is told are decided elsewhere (`request`,
//! `outcome`, `refusal`). Invariants: **nothing reaches a server before the head was accepted**; **what a server may
//! have seen goes to another one only if it is safe to repeat**; **an answer that began is ended or cut, never mended**.

use std::io;

use bytes::BytesMut;
use tokio::time::Instant;

use crate::affinity::sid::{Complaint, Stage};
use crate::alarm::Alarm;
use crate::headers::push_field;
use crate::heartbeat;
use crate::lifecycle::Phase;
use crate::linger::{Talk, linger};
use crate::logging::{self, Access};
use crate::outcome::Outcome;
use crate::refusal::Refusal;
use crate::request::{Request, Tries};
use crate::settings::{IdleTimeout, Limits};
use crate::shared::Context;
use crate::socket::{Ending, Socket, write_within};
use crate::workers::Worker;

pub(crate) mod answer;
mod ask;
mod chunked;
pub(crate) mod cut;
mod envelope;
mod flow;
mod framing;
pub(crate) mod kept;
mod order;
pub(crate) mod pace;
mod talk;

use answer::Answer;
use ask::{Answered, Failed};
use cut::Cut;
use flow::{Allowance, Fault, Flow};
use framing::Framing;
pub(crate) use order::{Order, Places};
use talk::Asking;

/// What is demanded of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// While it sends a body.
    pub(crate) sends: pace::Patience,
    /// While it takes an answer.
    pub(crate) takes: pace::Patience,
}

impl Patience {
    #[must_use]
    pub(crate) fn new(limits: &Limits) -> Self {
        let of_rate = |timeout, rate| pace::Patience::of_rate(timeout, rate, limits.rate_window);
        Self {
            sends: of_rate(limits.body_timeout, limits.body_rate_min),
            takes: of_rate(limits.send_timeout, limits.send_rate_min),
        }
    }
}

/// How a request ended for its client.
enum End {
    /// Answered; the connection may go on.
    Kept,
    /// Answered; the connection ends. A client that is not done sending is given time to read.
    Closed,
    Refused(Refusal),
    /// There is nobody to tell, or nothing that could be said any more.
    Cut,
}

struct Exchange<'c> {
    order: Box<Order>,
    context: &'c Context,
    worker: &'c Worker,
    tries: Tries,
    asking: Asking,
    status: Option<u16>,
    bytes_sent: u64,
    refusal: Option<Refusal>,
    cut: Option<Cut>,
    /// When the whole answer had left.
    ended: Option<Instant>,
}

/// A client's connection, between two requests or inside one.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) socket: Socket,
    /// What the client sent and nobody took yet.
    pub(crate) bytes: BytesMut,
    pub(crate) alarm: Alarm,
}

/// Carries out one request, behind whose head the line stands. Tells whether the line may go on; it has ended otherwise.
pub(crate) async fn run(
    line: &mut Line,
    order: Box<Order>,
    context: &Context,
    worker: &Worker,
) -> bool {
    let Line {
        socket: client,
        bytes,
        alarm,
    } = line;
    let mut exchange = Exchange::new(order, std::mem::take(alarm), context, worker);
    let end = exchange.carry_out(client, std::mem::take(bytes)).await;
    *alarm = std::mem::take(&mut exchange.asking.alarm);
    let patience = exchange.order.patience.takes;
    match end {
        End::Kept => {
            *bytes = std::mem::take(&mut exchange.asking.body.beyond);
            return true;
        }
        End::Cut => {}
        End::Closed => {
            let talk = exchange.asking.talk();
            drop(exchange);
            Box::pin(linger(client, &[], talk, patience)).await;
        }
        End::Refused(refusal) => {
            context.shared.metrics.refused(refusal);
            exchange.refusal = Some(refusal);
            exchange.status = Some(refusal.status());
            let origin = exchange.order.places.origin.as_ref();
            let origin = origin.map(|place| exchange.order.part(place));
            let words = refusal.to_bytes(origin.as_deref());
            drop(origin);
            drop(exchange);
            Box::pin(linger(client, &words, Talk::MayGoOn, patience)).await;
        }
    }
    false
}

impl<'c> Exchange<'c> {
    fn new(order: Box<Order>, alarm: Alarm, context: &'c Context, worker: &'c Worker) -> Self {
        let upstream = &order.request.upstream;
        let allowance = Allowance {
            content_bytes_max: order.request.body_bytes_max,
            sender: order.patience.sends,
            receiver: pace::Patience::of_pauses(upstream.write_timeout),
        };
        let now = order.request.began.at();
        let body = Flow::new(Framing::of_request(order.body), allowance, now);
        Self {
            asking: Asking::new(body, upstream.read_timeout, alarm, now),
            order,
            context,
            worker,
            tries: Tries::default(),
            status: None,
            bytes_sent: 0,
            refusal: None,
            cut: None,
            ended: None,
        }
    }

    async fn carry_out(&mut self, client: &mut Socket, mut in_hand: BytesMut) -> End {
        // Remembered by the body, so that every server gets it.
        if let Err(fault) = self.asking.body.admit(&mut in_hand) {
            return End::Refused(refusal_of(fault));
        }
        drop(in_hand);
        match self.ask_around(client).await {
            Ok(answered) => self.pass_on(client, answered).await,
            Err(Failed::Request(refusal)) => End::Refused(refusal),
            Err(Failed::Try(outcome, _)) => End::Refused(outcome.refusal()),
            Err(Failed::ClientLeft) => End::Cut,
        }
    }

    /// Passes an answer on.
    async fn pass_on(&mut self, client: &mut Socket, mut answered: Answered) -> End {
        let mut body = self.body_of(&mut answered.answer);
        let begun = match self.begin_body(client, &mut answered, &mut body).await {
            Ok(begun) => begun,
            Err(end) => return end,
        };
        let Answered {
            mut connection,
            answer,
            rest,
        } = answered;
        let goes_on = self.order.is_kept
            && answer.is_measured
            && !self.asking.is_cut()
            && self.context.life.phase() == Phase::Running;
        self.status = Some(answer.status);
        let begun = rest.get(..begun).unwrap_or_default();
        if !goes_on {
            self.asking.be_last();
        }
        let is_unmeasured = !answer.is_measured || client.is_tls();
        if is_unmeasured {
            client.end_as(Ending::Broken);
        }
        let words = self.first_words(answer.head, goes_on, begun);
        if let Err(cut) = say(client, &words, self.order.patience).await {
            self.cut = Some(cut);
            return End::Cut;
        }
        if !body.is_done() {
            let delivered = self
                .asking
                .deliver(client, &mut connection.socket, &mut body);
            if let Err(fault) = delivered.await {
                self.cut = Some(Cut::of(fault));
                self.bytes_sent = body.bytes;
                return End::Cut;
            }
        }
        if is_unmeasured {
            client.end_as(Ending::Whole);
        }
        self.bytes_sent = body.bytes;
        self.hear(answer.status, &body);
        let is_sent = self.asking.is_sent();
        let now = Instant::now();
        self.ended = Some(now);
        if answer.is_kept && is_sent && body.beyond.is_empty() {
            let upstream = &self.order.request.upstream;
            self.worker.kept.put(upstream, connection, now);
        }
        if goes_on && is_sent {
            End::Kept
        } else {
            End::Closed
        }
    }

    /// Notices when the server does not know the session, which it says in a short body that is remembered for this.
    fn hear(&self, status: u16, body: &Flow) {
        let request = &self.order.request;
        if is_opening(request, status)
            && let Some(silence) = body.memory.all().and_then(heartbeat::in_payload)
        {
            self.tries.learn_silence(silence);
        }
        if let Some(mut complaint) = Complaint::begin(request.stage, status)
            && let Some(said) = body.memory.all()
        {
            complaint.hear(said);
            self.tries.heard(&complaint, request, &self.context.shared);
        }
    }

    fn body_of(&self, answer: &mut Answer) -> Flow {
        let allowance = Allowance {
            content_bytes_max: u64::MAX,
            sender: pace::Patience::of_pauses(self.order.request.upstream.read_timeout),
            receiver: self.order.patience.takes,
        };
        let framing = std::mem::replace(&mut answer.framing, Framing::NONE);
        // When it matters, the clock is started anew.
        let mut body = Flow::new(framing, allowance, self.asking.since());
        let request = &self.order.request;
        if Complaint::begin(request.stage, answer.status).is_none()
            && !is_opening(request, answer.status)
        {
            body.memory.forget();
        }
        body
    }

    /// How much of `answered.rest` goes with the head: as much of the body as came with it, or all of it if it has to
    /// be known first.
    async fn begin_body(
        &mut self,
        client: &mut Socket,
        answered: &mut Answered,
        body: &mut Flow,
    ) -> Result<usize, End> {
        if answered.answer.is_held {
            let held = Box::pin(self.hold(client, answered, body)).await?;
            answered.rest = BytesMut::from(&*held);
            return Ok(held.len());
        }
        let begun = body.admit(&mut answered.rest).map(<[u8]>::len);
        begun.map_err(|_| End::Refused(Outcome::InvalidAnswer.refusal()))
    }

    /// The head for the client, and what goes with it in one write.
    fn first_words(&self, mut words: Vec<u8>, goes_on: bool, begun: &[u8]) -> Vec<u8> {
        if let Some(cookie) = self.tries.set_cookie(&self.order.request) {
            push_field(&mut words, "Set-Cookie", cookie.as_bytes());
        }
        match (goes_on, self.order.asked.is_http11) {
            (true, true) => {}
            (true, false) => push_field(&mut words, "Connection", b"keep-alive"),
            (false, _) => push_field(&mut words, "Connection", b"close"),
        }
        words.extend_from_slice(b"\r\n");
        words.extend_from_slice(begun);
        words
    }
}

impl Drop for Exchange<'_> {
    /// Says how it went.
    fn drop(&mut self) {
        let Order {
            request, places, ..
        } = &*self.order;
        // nginx's word for a client that did not wait.
        let status = self.status.unwrap_or(499);
        let ended = self.ended.unwrap_or_else(Instant::now);
        let duration = ended.saturating_duration_since(request.began.at());
        let (metrics, counted) = (&self.context.shared.metrics, request.upstream.counted());
        metrics.answered(counted, status, self.order.bytes(&places.method), "http");
        metrics.took(counted, duration);
        if let Some(cut) = self.cut {
            metrics.cut(cut);
        }
        let late = self.asking.late_fault().map(refusal_of);
        if let Some(late) = late {
            metrics.body_cut(late);
        }
        if !logging::shows_requests() {
            return;
        }
        let method = self.order.method();
        let access = Access {
            client: &request.forwarded.real_ip,
            method: &method,
            host: self.order.part(&places.host),
            target: self.order.part(&places.target),
            upstream: &request.upstream.name,
            server: self.tries.server_name(),
            tries: self.tries.count_of_tries(),
            duration,
        };
        let refused = self.refusal.or(late).map(Refusal::why);
        let why = refused.or(self.cut.map(Cut::why));
        let bytes_sent = usize::try_from(self.bytes_sent).unwrap_or(usize::MAX);
        logging::request(&access, status, bytes_sent, why);
    }
}

/// Whether an answer may begin an Engine.IO session, and say how long its connections may be silent.
fn is_opening(request: &Request, status: u16) -> bool {
    status == 200
        && request.stage == Stage::Handshake
        && request.upstream.websocket_idle_timeout == IdleTimeout::Auto
}

/// Writes to the client.
///
/// # Errors
/// When it does not take it.
async fn say(client: &mut Socket, words: &[u8], patience: Patience) -> Result<(), Cut> {
    match write_within(client, words, patience.takes.timeout).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Cut::SendTimeout),
        Err(error) => {
            tracing::debug!(%error, "the client left before its answer");
            Err(Cut::Client)
        }
    }
}

/// What a client is told about its request's body.
fn refusal_of(fault: Fault) -> Refusal {
    match fault {
        Fault::TooLarge => Refusal::BodyTooLarge,
        Fault::SenderStalled => Refusal::BodyTimeout,
        Fault::SenderSlow => Refusal::BodyTooSlow,
        Fault::Sender
        | Fault::Receiver
        | Fault::Malformed
        | Fault::ReceiverStalled
        | Fault::ReceiverSlow => Refusal::BadRequest("malformed chunks"),
    }
}

#[cfg(test)]
mod fuzz;
