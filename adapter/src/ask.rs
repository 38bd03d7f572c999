//! Questions to the other servers, and the waiting for their answers.
//! Owns the list of questions that are open; what is asked and answered is `codec`'s business.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::Stream;
use socketioxide_core::adapter::SocketEmitter;
use socketioxide_core::{Sid, Str, Uid, Value};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::ClusterError;
use crate::adapter::ClusterAdapter;
use crate::codec::args;
use crate::codec::broadcast::Audience;
use crate::codec::request::{self, Question};
use crate::codec::response::Answer;
use crate::counts::Counters;

/// How long the other servers may take to answer. Node's `requestsTimeout` is as long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Answers to one question that may wait to be read. Acknowledgements come one per client.
const ANSWERS_MAX: usize = 65_536;

/// The questions of one namespace that wait for answers.
#[derive(Default)]
pub(crate) struct OpenQuestions {
    waiting: Mutex<HashMap<String, mpsc::Sender<Answer>>>,
}

impl OpenQuestions {
    pub(crate) fn open(self: &Arc<Self>) -> OpenQuestion {
        let id = Uid::new().to_string();
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        self.lock().insert(id.clone(), sender);
        OpenQuestion {
            id,
            answers,
            among: Arc::clone(self),
        }
    }

    /// Nobody asks, so that answers, which are for somebody else, need not be looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    pub(crate) fn answer(&self, id: &str, answer: Answer, counters: &Counters) {
        let Some(waiting) = self.lock().get(id).cloned() else {
            return;
        };
        if waiting.try_send(answer).is_err() {
            counters.lagged.add(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::Sender<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One question; closed when dropped.
pub(crate) struct OpenQuestion {
    pub(crate) id: String,
    answers: mpsc::Receiver<Answer>,
    among: Arc<OpenQuestions>,
}

impl OpenQuestion {
    /// The next answer, or `None` when it is too late for one.
    async fn answer_until(&mut self, deadline: Instant) -> Option<Answer> {
        tokio::time::timeout_at(deadline, self.answers.recv())
            .await
            .ok()?
    }
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        self.among.lock().remove(&self.id);
    }
}

impl<E: SocketEmitter> ClusterAdapter<E> {
    /// What all the other servers answer.
    pub(crate) async fn ask(
        &self,
        question: Question,
        audience: &Audience,
    ) -> Result<Vec<Answer>, ClusterError> {
        let others = usize::from(self.other_servers().await?);
        let mut answers = Vec::new();
        if others == 0 {
            return Ok(answers);
        }
        let mut open = self.open_questions.open();
        let uid = self.cluster.uid();
        let payload = request::encode_question(uid.as_str(), &open.id, question, audience)
            .map_err(|error| ClusterError::Unavailable(error.to_string()))?;
        self.cluster
            .publish(self.channels.request.clone(), payload.into());
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        while answers.len() < others {
            match open.answer_until(deadline).await {
                Some(answer) => answers.push(answer),
                None => {
                    return Err(ClusterError::Unanswered {
                        answered: answers.len(),
                        asked: others,
                    });
                }
            }
        }
        Ok(answers)
    }

    pub(crate) async fn other_servers(&self) -> Result<u16, ClusterError> {
        Ok(self
            .cluster
            .servers(&self.channels)
            .await?
            .saturating_sub(1))
    }

    /// The first argument of an acknowledgement as the arguments that the server expects.
    fn acknowledgement(keeps_msgpack: bool, packet: &bytes::Bytes) -> Option<Value> {
        const ARRAY_OF_ONE: u8 = 0x91;
        if keeps_msgpack {
            return Some(Value::Bytes([&[ARRAY_OF_ONE], &packet[..]].concat().into()));
        }
        match args::to_json(packet, packet) {
            Ok((json, attachments)) => Some(Value::Str(
                Str::from(format!("[{json}]")),
                (!attachments.is_empty()).then_some(attachments),
            )),
            Err(why) => {
                tracing::warn!(%why, "ignored a malformed acknowledgement");
                None
            }
        }
    }

    /// The acknowledgements of the other servers' clients, as they come, until all are there or
    /// time is up. They carry no ids, so all have the zero one.
    pub(crate) fn remote_acks(
        &self,
        question: OpenQuestion,
        servers: u16,
        timeout: Duration,
    ) -> impl Stream<Item = (Sid, Result<Value, E::AckError>)> + Send + use<E> {
        let keeps_msgpack = self.keeps_msgpack;
        let waiting = Waiting {
            question,
            servers_left: servers,
            // Negative when a client is faster than its server's count of clients.
            acks_left: 0,
            deadline: Instant::now() + timeout,
        };
        futures_util::stream::unfold(waiting, move |mut waiting| async move {
            loop {
                let packet = waiting.next_ack().await?;
                if let Some(ack) = Self::acknowledgement(keeps_msgpack, &packet) {
                    return Some(((Sid::ZERO, Ok(ack)), waiting));
                }
            }
        })
    }
}

struct Waiting {
    question: OpenQuestion,
    servers_left: u16,
    acks_left: i64,
    deadline: Instant,
}

impl Waiting {
    async fn next_ack(&mut self) -> Option<bytes::Bytes> {
        while self.servers_left > 0 || self.acks_left > 0 {
            match self.question.answer_until(self.deadline).await? {
                Answer::Clients(clients) => {
                    self.servers_left = self.servers_left.saturating_sub(1);
                    self.acks_left += i64::from(clients);
                }
                Answer::Acknowledgement(packet) => {
                    self.acks_left -= 1;
                    return Some(packet);
                }
                Answer::Rooms(_) | Answer::Sockets(_) => {}
            }
        }
        None
    }
}
