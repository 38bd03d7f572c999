//! The chunked coding (RFC 9112 §7.1), followed byte by byte as it passes.
//!
//! Owns its grammar, read more strictly than the RFC asks: every line ends in CRLF, a size has at most 16 hex digits
//! and nothing around it. Extensions are taken out, so that two parsers behind us cannot read them differently.
//! Knows where a body ends whatever the pieces in which it comes; holds nothing of it.

/// A `u64` has no more.
const SIZE_DIGITS_MAX: u8 = 16;
/// Of all extensions of one chunk; nobody sends any.
const EXTENSION_BYTES_MAX: u16 = 1024;
/// Of all trailer fields together.
const TRAILER_BYTES_MAX: u16 = 8192;

/// What breaks the grammar, or one of the bounds above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What is left of a body for whoever gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Chunks and trailer fields.
    All,
    /// Chunks. A request's trailer fields could pass for its head's behind us, and nobody has use for them (RFC 9110
    /// §6.5.1 lets a recipient drop them).
    Chunks,
    /// The content alone, for a client that knows no chunks.
    Content,
}

/// What one piece came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Bytes at the front of the piece that go on.
    pub(crate) kept: usize,
    /// Bytes of the piece that belong to the body; what follows them is not its.
    pub(crate) used: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    Extension,
    SizeFeed,
    Content,
    ContentReturn,
    ContentFeed,
    /// The first byte of a trailer field, or of the end.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerFeed,
    EndFeed,
    End,
}

/// A chunked body on its way.
#[derive(Clone, Debug)]
pub(crate) struct Chunked {
    at: At,
    keep: Keep,
    /// Of the current chunk.
    left: u64,
    digits: u8,
    line_bytes: u16,
    content_bytes: u64,
}

impl Chunked {
    #[must_use]
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            at: At::Size,
            keep,
            left: 0,
            digits: 0,
            line_bytes: 0,
            content_bytes: 0,
        }
    }

    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        self.at == At::End
    }

    /// Content that the sizes so far announce, in bytes.
    #[must_use]
    pub(crate) fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// Takes the next piece, and moves what goes on to its front.
    ///
    /// # Errors
    /// When the body is not chunked as it should be. The piece's bytes before the fault may have been moved.
    pub(crate) fn filter(&mut self, bytes: &mut [u8]) -> Result<Passed, Malformed> {
        let mut passed = Passed::default();
        while !self.is_done()
            && let Some(rest) = bytes.get(passed.used..)
            && let Some(byte) = rest.first()
        {
            let (taken, is_kept) = if self.at == At::Content {
                let taken =
                    usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
                self.left -= taken as u64;
                if self.left == 0 {
                    self.at = At::ContentReturn;
                }
                (taken, true)
            } else {
                (1, self.step(*byte)?)
            };
            if is_kept {
                if passed.kept != passed.used {
                    bytes.copy_within(passed.used..passed.used + taken, passed.kept);
                }
                passed.kept += taken;
            }
            passed.used += taken;
        }
        Ok(passed)
    }

    /// One byte outside the content; tells whether it goes on.
    fn step(&mut self, byte: u8) -> Result<bool, Malformed> {
        let at = self.at;
        self.at = match (at, byte) {
            (At::Size, b'\r' | b';') if self.digits == 0 => return Err(Malformed),
            (At::Size, b';') => At::Extension,
            (At::Size | At::Extension, b'\r') => At::SizeFeed,
            (At::Size, digit) => self.digit(digit)?,
            (At::Extension, text) => self.text(text, EXTENSION_BYTES_MAX, At::Extension)?,
            (At::SizeFeed, b'\n') => self.after_size()?,
            (At::ContentReturn, b'\r') => At::ContentFeed,
            (At::ContentFeed, b'\n') => self.next_line(At::Size),
            (At::Trailer, b'\r') => At::EndFeed,
            (At::TrailerName, b':') => At::TrailerValue,
            (At::Trailer | At::TrailerName, name) if is_token(name) => {
                self.text(name, TRAILER_BYTES_MAX, At::TrailerName)?
            }
            (At::TrailerValue, b'\r') => At::TrailerFeed,
            (At::TrailerValue, text) => self.text(text, TRAILER_BYTES_MAX, At::TrailerValue)?,
            (At::TrailerFeed, b'\n') => At::Trailer,
            (At::EndFeed, b'\n') => At::End,
            _ => return Err(Malformed),
        };
        Ok(match at {
            At::Extension => byte == b'\r' && self.keep != Keep::Content,
            At::Size => byte != b';' && self.keep != Keep::Content,
            At::TrailerName | At::TrailerValue | At::TrailerFeed => self.keep == Keep::All,
            At::Trailer => self.keep == Keep::All || (byte == b'\r' && self.keep == Keep::Chunks),
            _ => self.keep != Keep::Content,
        })
    }

    fn digit(&mut self, byte: u8) -> Result<At, Malformed> {
        let value = char::from(byte).to_digit(16).ok_or(Malformed)?;
        self.digits += 1;
        if self.digits > SIZE_DIGITS_MAX {
            return Err(Malformed);
        }
        self.left = (self.left << 4) | u64::from(value);
        Ok(At::Size)
    }

    fn text(&mut self, byte: u8, bytes_max: u16, stay: At) -> Result<At, Malformed> {
        self.line_bytes += 1;
        let is_text = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        if is_text && self.line_bytes <= bytes_max {
            Ok(stay)
        } else {
            Err(Malformed)
        }
    }

    fn after_size(&mut self) -> Result<At, Malformed> {
        if self.left == 0 {
            return Ok(self.next_line(At::Trailer));
        }
        self.content_bytes = self.content_bytes.checked_add(self.left).ok_or(Malformed)?;
        Ok(At::Content)
    }

    fn next_line(&mut self, at: At) -> At {
        (self.digits, self.line_bytes) = (0, 0);
        at
    }
}

/// RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Passes `body` in pieces of these lengths, then in single bytes; what goes on, and what is left over.
    fn pass(keep: Keep, body: &[u8], pieces: &[usize]) -> Result<(Vec<u8>, Vec<u8>), Malformed> {
        let mut chunked = Chunked::new(keep);
        let (mut kept, mut rest) = (Vec::new(), body);
        let mut pieces = pieces.iter().copied();
        while !chunked.is_done() && !rest.is_empty() {
            let length = pieces.next().unwrap_or(1).clamp(1, rest.len());
            let mut piece = rest[..length].to_vec();
            let passed = chunked.filter(&mut piece)?;
            kept.extend_from_slice(&piece[..passed.kept]);
            rest = &rest[passed.used..];
        }
        if chunked.is_done() {
            Ok((kept, rest.to_vec()))
        } else {
            Err(Malformed)
        }
    }

    #[track_caller]
    fn check(keep: Keep, body: &str, expected: &str) {
        for pieces in [vec![], vec![body.len()], vec![3; body.len()]] {
            let (kept, rest) = pass(keep, body.as_bytes(), &pieces).expect(body);
            assert_eq!(
                (kept.as_slice(), rest.as_slice()),
                (expected.as_bytes(), &b""[..])
            );
        }
    }

    #[test]
    fn chunks_pass_as_they_are() {
        check(
            Keep::All,
            "5\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        );
        check(
            Keep::All,
            "00A\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
            "00A\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
        );
    }

    #[test]
    fn extensions_are_taken_out() {
        check(
            Keep::All,
            "5;a=\"b\"\r\nhello\r\n0;x\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        );
    }

    #[test]
    fn a_request_loses_its_trailer_fields() {
        check(
            Keep::Chunks,
            "1\r\nx\r\n0\r\nHost: b\r\nX: y\r\n\r\n",
            "1\r\nx\r\n0\r\n\r\n",
        );
    }

    #[test]
    fn content_can_be_had_alone() {
        check(
            Keep::Content,
            "5;a\r\nhello\r\n1\r\n!\r\n0\r\nX: y\r\n\r\n",
            "hello!",
        );
    }

    #[test]
    fn what_follows_the_body_is_not_its() {
        let (kept, rest) = pass(Keep::All, b"0\r\n\r\nGET /", &[64]).unwrap();
        assert_eq!(
            (kept.as_slice(), rest.as_slice()),
            (&b"0\r\n\r\n"[..], &b"GET /"[..])
        );
    }

    #[test]
    fn content_is_counted_as_soon_as_it_is_announced() {
        let mut chunked = Chunked::new(Keep::All);
        chunked.filter(&mut b"ff\r\n".to_vec()).unwrap();
        assert_eq!(chunked.content_bytes(), 255);
    }

    #[test]
    fn anything_else_is_malformed() {
        let long_extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(2000));
        let long_trailer = format!("0\r\nX: {}\r\n\r\n", "a".repeat(9000));
        for body in [
            "\r\n",
            ";x\r\n",
            "g\r\n",
            "-1\r\nx",
            "+1\r\nx",
            "0x1\r\nx",
            " 1\r\nx",
            "1 \r\nx",
            "1\nx\r\n",
            "1\r\nxy\r\n",
            "1\r\nx\n",
            "1\r\nx\r\r\n",
            "1\rx",
            "11111111111111111\r\n",
            "ffffffffffffffff\r\n",
            "1;a\nb\r\nx\r\n0\r\n\r\n",
            "1;\0\r\nx\r\n0\r\n\r\n",
            "0\r\n\n",
            "0\r\n\rx",
            "0\r\n X: y\r\n\r\n",
            "0\r\nX : y\r\n\r\n",
            "0\r\n: y\r\n\r\n",
            "0\r\nX\r\n\r\n",
            "0\r\nX: \0\r\n\r\n",
            "0\r\nX: y\n\r\n",
            &long_extension,
            &long_trailer,
        ] {
            let two = format!("{body}ffffffffffffffff\r\n");
            assert_eq!(
                pass(Keep::All, two.as_bytes(), &[two.len()]),
                Err(Malformed),
                "{body:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..5),
            pieces in prop::collection::vec(1_usize..20, 0..40),
        ) {
            let (mut body, mut content) = (Vec::new(), Vec::new());
            for chunk in &chunks {
                body.extend_from_slice(format!("{:x};e\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
                content.extend_from_slice(chunk);
            }
            body.extend_from_slice(b"0\r\nA: b\r\n\r\nnext");
            let (kept, rest) = pass(Keep::Content, &body, &pieces).unwrap();
            prop_assert_eq!(kept, content);
            prop_assert_eq!(rest, b"next");
            let whole = pass(Keep::All, &body, &[body.len()]).unwrap().0;
            prop_assert_eq!(pass(Keep::All, &body, &pieces).unwrap().0, whole);
        }

        #[test]
        fn any_bytes_are_followed_without_a_fault(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let length = bytes.len();
            if let Ok(passed) = Chunked::new(Keep::All).filter(&mut bytes) {
                prop_assert!(passed.kept <= passed.used && passed.used <= length);
            }
        }
    }
}
