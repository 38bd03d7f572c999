//! The names of the channels, exactly as `@socket.io/redis-adapter` 8 builds them.
//! Owns building and parsing them; does not know what is sent on them.

/// Channel prefix that `createAdapter` uses when it is given no `key`.
pub(crate) const PREFIX: &str = "socket.io";

/// The channels of one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Channels {
    /// `socket.io#<ns>#`: broadcasts to everybody or to several rooms; the prefix of all others.
    pub(crate) broadcast: String,
    /// `socket.io-request#<ns>#`: requests to all servers.
    pub(crate) request: String,
    /// `socket.io-response#<ns>#`: answers to all servers.
    pub(crate) response: String,
}

impl Channels {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            broadcast: format!("{PREFIX}#{namespace}#"),
            request: format!("{PREFIX}-request#{namespace}#"),
            response: format!("{PREFIX}-response#{namespace}#"),
        }
    }

    /// Node narrows the channel only when there is exactly one room.
    pub(crate) fn for_rooms(&self, rooms: &[String]) -> String {
        match rooms {
            [room] => format!("{}{room}#", self.broadcast),
            _ => self.broadcast.clone(),
        }
    }

    /// `socket.io-response#<ns>#<uid>#`: answers to one server.
    pub(crate) fn response_to(&self, uid: &str) -> String {
        format!("{}{uid}#", self.response)
    }
}

/// The literal channel an operator of the Node system looks at with `PUBSUB NUMSUB socket.io#*`.
/// Node subscribes to patterns, which NUMSUB does not count, so that command shows 0 there;
/// subscribing to the literal name makes it show the number of Berth servers. Nothing is sent on it.
pub(crate) fn census() -> String {
    format!("{PREFIX}#*")
}

/// What a channel name says about a message on it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    Broadcast {
        namespace: &'a str,
        room: Option<&'a str>,
    },
    Request {
        namespace: &'a str,
    },
    Response {
        namespace: &'a str,
    },
}

impl<'a> Address<'a> {
    /// `None` when the channel is not one of ours. A namespace ends at its first `#`
    /// (see [`can_be_clustered`]); a room may contain more of them.
    pub(crate) fn parse(channel: &'a str) -> Option<Self> {
        let rest = channel.strip_prefix(PREFIX)?;
        let (kind, rest) = rest.split_once('#')?;
        let (namespace, rest) = rest.split_once('#')?;
        match kind {
            "" => Some(Self::Broadcast {
                namespace,
                room: rest.strip_suffix('#').filter(|room| !room.is_empty()),
            }),
            "-request" => Some(Self::Request { namespace }),
            "-response" => Some(Self::Response { namespace }),
            _ => None,
        }
    }
}

/// `/a` with room `b#` and `/a#b` would share a channel, so a namespace with `#` stays local.
pub(crate) fn can_be_clustered(namespace: &str) -> bool {
    !namespace.contains('#')
}

/// A pattern that matches the text itself, whatever glob characters it holds.
pub(crate) fn escape_glob(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn names_are_those_of_node() {
        let channels = Channels::new("/chat");
        assert_eq!(channels.broadcast, "socket.io#/chat#");
        assert_eq!(channels.request, "socket.io-request#/chat#");
        assert_eq!(
            channels.response_to("neW5e6"),
            "socket.io-response#/chat#neW5e6#"
        );
        assert_eq!(
            channels.for_rooms(&["lobby".into()]),
            "socket.io#/chat#lobby#"
        );
        assert_eq!(
            channels.for_rooms(&["a".into(), "b".into()]),
            "socket.io#/chat#"
        );
        assert_eq!(channels.for_rooms(&[]), "socket.io#/chat#");
    }

    #[test]
    fn parsing_undoes_building() {
        let namespace = "/chat";
        for room in ["lobby", "a#b", "#", "röom *"] {
            let channel = Channels::new(namespace).for_rooms(&[room.to_owned()]);
            let room = Some(room);
            assert_eq!(
                Address::parse(&channel),
                Some(Address::Broadcast { namespace, room })
            );
        }
        let channels = Channels::new(namespace);
        assert_eq!(
            Address::parse(&channels.broadcast),
            Some(Address::Broadcast {
                namespace,
                room: None
            })
        );
        assert_eq!(
            Address::parse(&channels.request),
            Some(Address::Request { namespace })
        );
        assert_eq!(
            Address::parse(&channels.response_to("x")),
            Some(Address::Response { namespace })
        );
    }

    #[test]
    fn foreign_channels_are_not_ours() {
        for channel in [
            "",
            "socket.io",
            "socket.io#*",
            "socket.io#/",
            "app#/#",
            "socket.io-x#/#",
        ] {
            assert_eq!(Address::parse(channel), None, "{channel}");
        }
    }

    #[test]
    fn glob_characters_lose_their_meaning() {
        assert_eq!(escape_glob("socket.io#/a*[b]?#"), r"socket.io#/a\*\[b]\?#");
    }

    proptest! {
        #[test]
        fn any_channel_is_ours_or_not(channel in any::<String>(), ours in "socket.io(-request|-response)?#?[/a#]{0,6}") {
            black_box((Address::parse(&channel), Address::parse(&ours)));
        }

        /// Rooms may hold the sign between the parts; namespaces that do are not clustered.
        #[test]
        fn a_name_is_read_as_it_was_built(namespace in "/[a-z]{0,5}", room in "[a#*é]{1,6}") {
            let channels = Channels::new(&namespace);
            let namespace = namespace.as_str();
            let one = channels.for_rooms(std::slice::from_ref(&room));
            let room = Some(room.as_str());
            prop_assert_eq!(Address::parse(&one), Some(Address::Broadcast { namespace, room }));
            let all = Address::Broadcast { namespace, room: None };
            prop_assert_eq!(Address::parse(&channels.broadcast), Some(all));
            prop_assert_eq!(Address::parse(&channels.request), Some(Address::Request { namespace }));
            let to_one = channels.response_to("uid");
            prop_assert_eq!(Address::parse(&to_one), Some(Address::Response { namespace }));
        }
    }
}
