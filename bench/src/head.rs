//! Heads of HTTP messages, as both ends of the bench read them: where one ends and what a field says. Not a parser to be trusted
//! with strangers.

/// The length of the head with its empty line; `None` if it is not whole yet.
pub(crate) fn end(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .map(|at| at + 4)
}

pub(crate) fn status(head: &[u8]) -> Option<u16> {
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}

/// The value of the first field of this name, which is given in lower case.
pub(crate) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let value = line.get(name.len()..)?.strip_prefix(b":")?;
        let is_named = line
            .get(..name.len())?
            .eq_ignore_ascii_case(name.as_bytes());
        is_named.then(|| value.trim_ascii())
    })
}

pub(crate) fn number(head: &[u8], name: &str) -> Option<usize> {
    std::str::from_utf8(field(head, name)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nX: y:z \r\n\r\nbody\r\n\r\n";

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(end(HEAD), Some(HEAD.len() - 8));
        assert_eq!(end(b"HTTP/1.1 200 OK\r\n"), None);
    }

    #[test]
    fn fields_are_found_whatever_their_case() {
        assert_eq!(status(HEAD), Some(200));
        assert_eq!(number(HEAD, "content-length"), Some(100));
        assert_eq!(field(HEAD, "x"), Some(b"y:z".as_slice()));
        assert_eq!(field(HEAD, "content"), None);
    }
}
