//! When each connection begins its next exchange: as soon as the last one ended, or at times that were fixed before.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;

use super::drive::Plan;
use super::tally::Tally;
use crate::clock;

/// Exchanges at equal distances, dealt to the connections in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: Instant,
    interval: Duration,
    connections: u64,
}

impl Schedule {
    fn new(start: Instant, rate_per_second: f64, connections: usize) -> Self {
        Self {
            start,
            interval: Duration::from_secs_f64(1.0 / rate_per_second),
            connections: connections as u64,
        }
    }

    /// When this connection is meant to begin its exchange of this number.
    fn intended(&self, connection: usize, number: u64) -> Instant {
        let position = number * self.connections + connection as u64;
        let nanos = self.interval.as_nanos() * u128::from(position);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// From now until the next exchange is meant to begin.
    fn until_next(&self, now: Instant) -> Duration {
        let interval = self.interval.as_nanos().max(1);
        let since = now.saturating_duration_since(self.start).as_nanos();
        Duration::from_nanos(u64::try_from(interval - since % interval).unwrap_or(u64::MAX))
    }

    /// How many exchanges are meant to have begun.
    fn due(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.start).as_nanos();
        let passed = since / self.interval.as_nanos().max(1);
        u64::try_from(passed).unwrap_or(u64::MAX) + 1
    }
}

pub(crate) enum Pace {
    /// As fast as it goes, until the tally is over, or until so many were begun.
    Closed {
        tally: Rc<Tally>,
        left: Cell<Option<u64>>,
    },
    Fixed {
        schedule: Schedule,
        end: Instant,
        turns: Vec<Notify>,
        given: Vec<Cell<u64>>,
    },
}

impl Pace {
    /// As the plan says, from now on, with a tally to match.
    pub(crate) fn of(plan: &Plan) -> anyhow::Result<(Self, Rc<Tally>)> {
        let Some(rate) = plan.rate else {
            let tally = Rc::new(Tally::new(None)?);
            let pace = Self::Closed {
                tally: Rc::clone(&tally),
                left: Cell::new(plan.total),
            };
            return Ok((pace, tally));
        };
        let now = clock::now();
        let (since, end) = (now + plan.warm_up, now + plan.warm_up + plan.duration);
        let schedule = Schedule::new(now, rate, plan.connections);
        let tally = Tally::new(Some((since, end)))?;
        Ok((Self::fixed(schedule, end), Rc::new(tally)))
    }

    fn fixed(schedule: Schedule, end: Instant) -> Self {
        let connections = 0..schedule.connections;
        Self::Fixed {
            schedule,
            end,
            turns: connections.clone().map(|_| Notify::new()).collect(),
            given: connections.map(|_| Cell::new(0)).collect(),
        }
    }

    /// Waits for this connection's turn. `None`: there is no further one. A turn that is missed is given all the same, with the time
    /// at which it should have been taken.
    pub(crate) async fn next(&self, connection: usize) -> Option<Instant> {
        match self {
            Self::Closed { tally, left } => {
                if tally.is_over() {
                    return None;
                }
                if let Some(count) = left.get() {
                    left.set(Some(count.checked_sub(1)?));
                }
                Some(clock::now())
            }
            Self::Fixed {
                schedule,
                end,
                turns,
                given,
            } => {
                let (turn, given) = (turns.get(connection)?, given.get(connection)?);
                let intended = schedule.intended(connection, given.get());
                if intended >= *end {
                    return None;
                }
                given.set(given.get() + 1);
                while clock::now() < intended {
                    turn.notified().await;
                }
                Some(intended)
            }
        }
    }

    /// Wakes connections at their times, to the microsecond: the runtime's own timers count milliseconds.
    pub(crate) async fn keep_time(&self) -> io::Result<()> {
        let Self::Fixed {
            schedule,
            end,
            turns,
            ..
        } = self
        else {
            return Ok(());
        };
        // The schedule began before all of its connections were at their places: who ticked from now on would be late each time.
        let mut ticks = Ticks::every(schedule.interval, schedule.until_next(clock::now()))?;
        let (mut woken, count) = (0, turns.len() as u64);
        loop {
            let now = clock::now();
            let due = schedule.due(now);
            // Who is behind does not wait for its turn, so nobody needs to be woken twice.
            for position in woken.max(due.saturating_sub(count))..due {
                let turn = usize::try_from(position % count).ok();
                if let Some(turn) = turn.and_then(|turn| turns.get(turn)) {
                    turn.notify_one();
                }
            }
            woken = due;
            if now >= *end {
                return Ok(());
            }
            ticks.next().await?;
        }
    }
}

/// A timer of the kernel's. To the runtime it is a pipe: a descriptor that becomes readable and gives eight bytes.
struct Ticks(Receiver);

impl Ticks {
    fn every(interval: Duration, first: Duration) -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        let expiration = Expiration::IntervalDelayed(first.into(), interval.into());
        timer.set(expiration, TimerSetTimeFlags::empty())?;
        Ok(Self(Receiver::from_owned_fd_unchecked(timer.into())?))
    }

    /// How often it went off the clock says better; reading makes it wait again.
    async fn next(&mut self) -> io::Result<()> {
        self.0.read_u64().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> (Instant, Schedule) {
        let start = clock::now();
        (start, Schedule::new(start, 1000.0, 4))
    }

    #[test]
    fn exchanges_are_dealt_to_the_connections_in_turn() {
        let (start, schedule) = schedule();
        let ms = |connection, number| (schedule.intended(connection, number) - start).as_millis();
        assert_eq!([ms(0, 0), ms(1, 0), ms(3, 0)], [0, 1, 3]);
        assert_eq!([ms(0, 1), ms(2, 5)], [4, 22]);
    }

    #[test]
    fn as_many_are_due_as_were_meant_to_begin() {
        let (start, schedule) = schedule();
        let due = |us| schedule.due(start + Duration::from_micros(us));
        assert_eq!([due(0), due(999), due(1000), due(10_500)], [1, 1, 2, 11]);
    }

    #[test]
    fn a_tick_comes_when_an_exchange_is_meant_to_begin() {
        let (start, schedule) = schedule();
        let wait = |us| schedule.until_next(start + Duration::from_micros(us));
        let waits = [wait(0), wait(1), wait(999), wait(3_400)];
        assert_eq!(waits.map(|wait| wait.as_micros()), [1_000, 999, 1, 600]);
    }

    /// A server that stalls for 100 ms delays every exchange that was meant to begin meanwhile, not just the one it was busy with.
    #[test]
    fn a_stall_is_charged_to_all_whom_it_kept_waiting() {
        let (start, schedule) = schedule();
        let tally = Rc::new(Tally::new(None).unwrap());
        tally.begin(start);
        let mut free = start + Duration::from_millis(100);
        for number in 0..50 {
            let intended = schedule.intended(0, number);
            let begun = intended.max(free);
            free = begun + Duration::from_micros(10);
            tally.succeed(intended, free);
        }
        let latency = tally.latency();
        let late = latency
            .iter_recorded()
            .filter(|step| step.value_iterated_to() > 10_000_000);
        let late: u64 = late.map(|step| step.count_at_value()).sum();
        assert_eq!(late, 23, "every 4 ms one was meant to begin");
        assert!(latency.max() >= 100_000_000);
    }
}
