//! Where in an Engine.IO session a request stands, whatever its upstream is sticky by.

use super::query::Query;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No Engine.IO, or one that can be read in two ways.
    None,
    /// Asks for a session.
    Handshake,
    /// Names a session.
    Session,
}

impl Stage {
    /// Reads a request line's method and target.
    #[must_use]
    pub fn of(method: &str, target: &str) -> Self {
        let Some(query) = Query::of(target) else {
            return Self::None;
        };
        match (query.sid, method) {
            (_, "OPTIONS") => Self::None,
            (Some(_), _) => Self::Session,
            (None, "GET") => Self::Handshake,
            // Servers refuse to begin a session with any other method.
            (None, _) => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Stage;

    #[track_caller]
    fn check(request: &str, stage: Stage) {
        let (method, target) = request.split_once(' ').unwrap();
        assert_eq!(Stage::of(method, target), stage, "{request}");
    }

    #[test]
    fn a_session_begins_without_an_id() {
        check("GET /socket.io/?EIO=4&transport=polling", Stage::Handshake);
        check(
            "GET /socket.io/?EIO=3&transport=polling&j=0",
            Stage::Handshake,
        );
        check(
            "GET /socket.io/?EIO=4&transport=websocket&t=x",
            Stage::Handshake,
        );
        check(
            "GET /socket.io/?EIO=4&transport=polling&sid=",
            Stage::Handshake,
        );
    }

    #[test]
    fn whoever_names_a_session_is_in_one() {
        check(
            "GET /socket.io/?EIO=4&transport=polling&sid=abc",
            Stage::Session,
        );
        check(
            "POST /socket.io/?EIO=4&transport=polling&sid=a~b",
            Stage::Session,
        );
        check("GET /x/?EIO=4&transport=websocket&sid=abc", Stage::Session);
    }

    #[test]
    fn the_rest_is_no_engine_io() {
        check("GET /socket.io/socket.io.js", Stage::None);
        check("GET /socket.io/?EIO=4", Stage::None);
        check("GET /socket.io/?EIO=4&EIO=3&transport=polling", Stage::None);
        check("POST /socket.io/?EIO=4&transport=polling", Stage::None);
        check(
            "OPTIONS /socket.io/?EIO=4&transport=polling&sid=abc",
            Stage::None,
        );
    }
}
