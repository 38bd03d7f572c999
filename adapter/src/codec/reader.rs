//! Reads MessagePack token by token from a slice, without copying.
//! Knows the format and its bounds; what the tokens mean is its callers' business.

use rmp::Marker;

use crate::dispatch::Malformed;

/// One step of a MessagePack value. Strings are bytes: JavaScript can send lone surrogates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Token<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Str(&'a [u8]),
    Bin(&'a [u8]),
    /// That many values follow.
    Array(u32),
    /// That many pairs of values follow.
    Map(u32),
    Ext(i8, &'a [u8]),
}

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        match self.rest.split_at_checked(length) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(Malformed::new("the message ends too early")),
        }
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Malformed> {
        let mut bytes = [0; LENGTH];
        bytes.copy_from_slice(self.take(LENGTH)?);
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    fn bytes(&mut self, length: u32) -> Result<&'a [u8], Malformed> {
        self.take(usize::try_from(length).map_err(|_| Malformed::new("a value is too long"))?)
    }

    fn ext(&mut self, length: u32) -> Result<Token<'a>, Malformed> {
        let kind = self.array().map(i8::from_be_bytes)?;
        Ok(Token::Ext(kind, self.bytes(length)?))
    }

    pub(crate) fn next(&mut self) -> Result<Token<'a>, Malformed> {
        Ok(match Marker::from_u8(self.u8()?) {
            Marker::Null => Token::Nil,
            Marker::True => Token::Bool(true),
            Marker::False => Token::Bool(false),
            Marker::FixPos(value) => Token::Unsigned(value.into()),
            Marker::FixNeg(value) => Token::Signed(value.into()),
            Marker::U8 => Token::Unsigned(self.u8()?.into()),
            Marker::U16 => Token::Unsigned(self.u16()?.into()),
            Marker::U32 => Token::Unsigned(self.u32()?.into()),
            Marker::U64 => Token::Unsigned(self.array().map(u64::from_be_bytes)?),
            Marker::I8 => Token::Signed(self.array().map(i8::from_be_bytes)?.into()),
            Marker::I16 => Token::Signed(self.array().map(i16::from_be_bytes)?.into()),
            Marker::I32 => Token::Signed(self.array().map(i32::from_be_bytes)?.into()),
            Marker::I64 => Token::Signed(self.array().map(i64::from_be_bytes)?),
            Marker::F32 => Token::Float(self.array().map(f32::from_be_bytes)?.into()),
            Marker::F64 => Token::Float(self.array().map(f64::from_be_bytes)?),
            Marker::FixStr(length) => Token::Str(self.take(length.into())?),
            Marker::Str8 => Token::Str(self.u8().and_then(|length| self.take(length.into()))?),
            Marker::Str16 => Token::Str(self.u16().and_then(|length| self.take(length.into()))?),
            Marker::Str32 => Token::Str(self.u32().and_then(|length| self.bytes(length))?),
            Marker::Bin8 => Token::Bin(self.u8().and_then(|length| self.take(length.into()))?),
            Marker::Bin16 => Token::Bin(self.u16().and_then(|length| self.take(length.into()))?),
            Marker::Bin32 => Token::Bin(self.u32().and_then(|length| self.bytes(length))?),
            Marker::FixArray(length) => Token::Array(length.into()),
            Marker::Array16 => Token::Array(self.u16()?.into()),
            Marker::Array32 => Token::Array(self.u32()?),
            Marker::FixMap(length) => Token::Map(length.into()),
            Marker::Map16 => Token::Map(self.u16()?.into()),
            Marker::Map32 => Token::Map(self.u32()?),
            Marker::FixExt1 => self.ext(1)?,
            Marker::FixExt2 => self.ext(2)?,
            Marker::FixExt4 => self.ext(4)?,
            Marker::FixExt8 => self.ext(8)?,
            Marker::FixExt16 => self.ext(16)?,
            Marker::Ext8 => self.u8().and_then(|length| self.ext(length.into()))?,
            Marker::Ext16 => self.u16().and_then(|length| self.ext(length.into()))?,
            Marker::Ext32 => self.u32().and_then(|length| self.ext(length))?,
            Marker::Reserved => return Err(Malformed::new("0xc1 is not MessagePack")),
        })
    }

    /// Steps over one whole value, however deep, and returns its bytes.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.rest;
        // A count instead of recursion: every step eats a byte, so this ends with the input.
        let mut values_left: u64 = 1;
        while values_left > 0 {
            values_left -= 1;
            values_left += match self.next()? {
                Token::Array(length) => u64::from(length),
                Token::Map(length) => 2 * u64::from(length),
                _ => 0,
            };
        }
        Ok(&start[..start.len() - self.rest.len()])
    }

    pub(crate) fn array_length(&mut self, what: &str) -> Result<u32, Malformed> {
        match self.next()? {
            Token::Array(length) => Ok(length),
            other => Err(unexpected(what, "an array", other)),
        }
    }

    pub(crate) fn map_length(&mut self, what: &str) -> Result<u32, Malformed> {
        match self.next()? {
            Token::Map(length) => Ok(length),
            other => Err(unexpected(what, "a map", other)),
        }
    }

    pub(crate) fn text(&mut self, what: &str) -> Result<&'a str, Malformed> {
        match self.next()? {
            Token::Str(bytes) => std::str::from_utf8(bytes)
                .map_err(|_| Malformed::new(format!("{what} is not UTF-8"))),
            other => Err(unexpected(what, "a string", other)),
        }
    }
}

pub(crate) fn unexpected(what: &str, wanted: &str, got: Token<'_>) -> Malformed {
    let got = match got {
        Token::Nil => "nil",
        Token::Bool(_) => "a boolean",
        Token::Unsigned(_) | Token::Signed(_) | Token::Float(_) => "a number",
        Token::Str(_) => "a string",
        Token::Bin(_) => "binary",
        Token::Array(_) => "an array",
        Token::Map(_) => "a map",
        Token::Ext(..) => "an extension",
    };
    Malformed::new(format!("{what} is {got} instead of {wanted}"))
}
