//! Presence in Redis, which the instances share. Leases end by Redis' own clock.
//!
//! | key | type | |
//! |---|---|---|
//! | `app:inst` | sorted set | instance → end of its lease, milliseconds since the Unix epoch |
//! | `app:pres:room:ROOM` | hash | `INSTANCE\|USER` → name: the part of each instance |
//! | `app:pres:inst:INSTANCE` | set | the rooms that it is in, which is what cleaning up must look at |
//! | `app:pres:reap:INSTANCE` | text | who cleans up after it, for half a minute |
//!
//! Each operation is one script, so nobody sees half of it. While Redis is away every call fails at once.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use fred::clients::{Client, WithOptions};
use fred::error::Error;
use fred::interfaces::{ClientLike as _, LuaInterface as _};
use fred::types::Value;
use fred::types::config::Options;
use tokio::task::AbortHandle;

use super::{Beat, Change, InstanceId, People, Presence, PresenceError, Written};
use crate::chat::room::RoomId;
use crate::session::redis::client;

#[cfg(test)]
mod tests;

/// The prefix of every key, beside the sessions' `app:sess:`.
const PREFIX: &str = "app:";

/// How long one instance has the cleaning up for itself.
const REAP_MS: u32 = 30_000;

/// People changed by one script: beyond that Redis would do nothing else for too long.
const PEOPLE_PER_SCRIPT: usize = 500;

const NOW: &str = "local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
";

/// KEYS: instances. ARGV: me, lease.
const BEAT: &str = "
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
local lost = 1
if before and tonumber(before) > now then lost = 0 end
return {lost, redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf'),
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 16)}
";

/// KEYS: instances, the room, rooms of me. ARGV: me, lease, room, is_last, number of added, id, name, …, removed ids.
/// A part without a lease would never be cleaned up, so one is begun; one that has ended stays so until its instance beats. Answers 1 when
/// one was begun: Redis has forgotten this instance.
const WRITE: &str = "
local begun = redis.call('ZADD', KEYS[1], 'NX', now + ARGV[2], ARGV[1])
local at = 6
for _ = 1, tonumber(ARGV[5]) do
  redis.call('HSET', KEYS[2], ARGV[1] .. '|' .. ARGV[at], ARGV[at + 1])
  at = at + 2
end
while ARGV[at] do
  redis.call('HDEL', KEYS[2], ARGV[1] .. '|' .. ARGV[at])
  at = at + 1
end
if ARGV[4] == '1' then redis.call('SREM', KEYS[3], ARGV[3])
else redis.call('SADD', KEYS[3], ARGV[3]) end
return begun
";

/// KEYS: instances, the room. Answers id, name, … of those whose instance is live.
const READ: &str = "
local live = {}
for _, instance in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
  live[instance] = true
end
local found = {}
local all = redis.call('HGETALL', KEYS[2])
for at = 1, #all, 2 do
  local bar = string.find(all[at], '|', 1, true)
  if bar and live[string.sub(all[at], 1, bar - 1)] then
    found[#found + 1] = all[at]
    found[#found + 1] = all[at + 1]
  end
end
return found
";

/// KEYS: instances, the claim, rooms of the dead. ARGV: dead, me, claim's time. Answers its rooms, once.
const CLAIM: &str = "
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if ends and tonumber(ends) > now then return {} end
if not redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return {} end
local rooms = redis.call('SMEMBERS', KEYS[3])
if #rooms == 0 then redis.call('ZREM', KEYS[1], ARGV[1]) redis.call('DEL', KEYS[2]) end
return rooms
";

/// KEYS: instances, the room, rooms of the dead, the claim. ARGV: dead, room. Stops when the dead has come back.
const CLEAN: &str = "
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if ends and tonumber(ends) > now then return 0 end
local mark = ARGV[1] .. '|'
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.sub(field, 1, #mark) == mark then redis.call('HDEL', KEYS[2], field) end
end
redis.call('SREM', KEYS[3], ARGV[2])
if redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('DEL', KEYS[4])
end
return 1
";

/// KEYS: instances. ARGV: me. The lease ends now.
const END: &str = "
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then redis.call('ZADD', KEYS[1], 0, ARGV[1]) end
return 1
";

/// Presence in a Redis.
pub struct RedisPresence {
    client: Client,
    commands: WithOptions<Client>,
    connection: AbortHandle,
    prefix: String,
}

impl RedisPresence {
    /// Starts connecting in the background, for ever, and returns at once. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`PresenceError`] when the URL cannot be read.
    pub fn connect(url: &str) -> Result<Self, PresenceError> {
        Self::with_prefix(url, PREFIX)
    }

    fn with_prefix(url: &str, prefix: &str) -> Result<Self, PresenceError> {
        let client = client(url)
            // Only the library's words, not the URL: it may hold a password.
            .map_err(|why| PresenceError(format!("bad Redis URL: {}", why.details())))?;
        let commands = client.with_options(&Options {
            fail_fast: true,
            ..Options::default()
        });
        Ok(Self {
            connection: client.connect().abort_handle(),
            client,
            commands,
            prefix: prefix.to_owned(),
        })
    }

    fn instances(&self) -> String {
        format!("{}inst", self.prefix)
    }

    fn room(&self, room: &str) -> String {
        format!("{}pres:room:{room}", self.prefix)
    }

    fn rooms_of(&self, instance: &str) -> String {
        format!("{}pres:inst:{instance}", self.prefix)
    }

    fn claim_on(&self, instance: &str) -> String {
        format!("{}pres:reap:{instance}", self.prefix)
    }

    async fn run(
        &self,
        script: &str,
        keys: Vec<String>,
        arguments: Vec<String>,
    ) -> Result<Value, PresenceError> {
        // A script would wait for the connection, and people for it.
        if !self.client.is_connected() {
            return Err(PresenceError("Redis is not connected".to_owned()));
        }
        let script = format!("{NOW}{script}");
        Ok(self.commands.eval(script, keys, arguments).await?)
    }

    /// Removes everything of an instance whose lease has ended.
    async fn clean(&self, me: &str, dead: &str) -> Result<Vec<RoomId>, PresenceError> {
        let keys = vec![self.instances(), self.claim_on(dead), self.rooms_of(dead)];
        let arguments = vec![dead.to_owned(), me.to_owned(), REAP_MS.to_string()];
        let names: Vec<String> = self.run(CLAIM, keys, arguments).await?.convert()?;
        let mut rooms = Vec::new();
        for name in names {
            let keys = vec![
                self.instances(),
                self.room(&name),
                self.rooms_of(dead),
                self.claim_on(dead),
            ];
            let cleaned = self.run(CLEAN, keys, vec![dead.to_owned(), name.clone()]);
            if cleaned.await?.convert::<i64>()? == 0 {
                break;
            }
            // A name that is none was not written by us; it is gone, and nobody is told.
            rooms.extend(RoomId::parse(&name));
        }
        Ok(rooms)
    }
}

impl Drop for RedisPresence {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl fmt::Debug for RedisPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisPresence").finish_non_exhaustive()
    }
}

impl From<Error> for PresenceError {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

fn milliseconds(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// A change in pieces that Redis can do at once. The last piece says whether anybody is left.
fn pieces(change: &Change) -> Vec<Vec<String>> {
    let added: Vec<_> = change.add.iter().collect();
    let removed: Vec<_> = change.remove.iter().collect();
    let mut pieces = Vec::new();
    for some in added.chunks(PEOPLE_PER_SCRIPT) {
        let mut piece = vec![some.len().to_string()];
        piece.extend(
            some.iter()
                .flat_map(|(id, name)| [(*id).clone(), (*name).clone()]),
        );
        pieces.push(piece);
    }
    for some in removed.chunks(PEOPLE_PER_SCRIPT) {
        let mut piece = vec!["0".to_owned()];
        piece.extend(some.iter().map(|id| (*id).clone()));
        pieces.push(piece);
    }
    pieces
}

#[async_trait]
impl Presence for RedisPresence {
    async fn beat(&self, me: &InstanceId, lease: Duration) -> Result<Beat, PresenceError> {
        let arguments = vec![me.as_str().to_owned(), milliseconds(lease)];
        let answer = self.run(BEAT, vec![self.instances()], arguments).await?;
        let (lost, live, dead): (i64, Vec<String>, Vec<String>) = answer.convert()?;
        Ok(Beat {
            live: live.into_iter().collect(),
            was_lost: lost == 1,
            dead: dead.into_iter().collect(),
        })
    }

    async fn write(
        &self,
        me: &InstanceId,
        room: &RoomId,
        change: &Change,
        lease: Duration,
    ) -> Result<Written, PresenceError> {
        let (me, room) = (me.as_str(), room.as_str());
        let pieces = pieces(change);
        let count = pieces.len();
        let mut written = Written::Onward;
        for (index, piece) in pieces.into_iter().enumerate() {
            let is_last = change.is_last && index + 1 == count;
            let keys = vec![self.instances(), self.room(room), self.rooms_of(me)];
            let mut arguments = vec![
                me.to_owned(),
                milliseconds(lease),
                room.to_owned(),
                if is_last { "1" } else { "0" }.to_owned(),
            ];
            arguments.extend(piece);
            let begun: i64 = self.run(WRITE, keys, arguments).await?.convert()?;
            if begun == 1 {
                written = Written::Anew;
            }
        }
        Ok(written)
    }

    async fn read(&self, room: &RoomId) -> Result<People, PresenceError> {
        let keys = vec![self.instances(), self.room(room.as_str())];
        let found: Vec<String> = self.run(READ, keys, Vec::new()).await?.convert()?;
        let mut parts: Vec<(&str, &str, &str)> = Vec::new();
        for pair in found.chunks_exact(2) {
            if let [field, name] = pair
                && let Some((instance, user)) = field.split_once('|')
            {
                parts.push((instance, user, name));
            }
        }
        parts.sort_unstable();
        let mut people = People::new();
        for (_, user, name) in parts {
            people
                .entry(user.to_owned())
                .or_insert_with(|| name.to_owned());
        }
        Ok(people)
    }

    async fn reap(&self, me: &InstanceId, dead: &str) -> Result<Vec<RoomId>, PresenceError> {
        self.clean(me.as_str(), dead).await
    }

    async fn leave(&self, me: &InstanceId) -> Result<Vec<RoomId>, PresenceError> {
        let me = me.as_str();
        self.run(END, vec![self.instances()], vec![me.to_owned()])
            .await?;
        self.clean(me, me).await
    }
}
