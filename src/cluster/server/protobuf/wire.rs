//! The wire format of protobuf: tags, varints, lengths. Every read is checked against what is there.

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("the message ends inside a field")]
    Truncated,
    #[error("a number has more than ten bytes")]
    Varint,
    #[error("wire type {0} is not used by proto2 messages of Kubernetes")]
    WireType(u8),
}

/// The content of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A fixed-width number, which no message that is read here uses.
    Fixed,
}

/// Reads the fields of a message one after another.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field's tag and content; `None` at the end.
    ///
    /// # Errors
    /// When the bytes are no message.
    pub fn next(&mut self) -> Result<Option<(u64, Content<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let content = match key & 7 {
            0 => Content::Number(self.varint()?),
            1 => self.take(8).map(|_| Content::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                Content::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Content::Fixed)?,
            other => return Err(WireError::WireType(u8::try_from(other).unwrap_or(u8::MAX))),
        };
        Ok(Some((key >> 3, content)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Varint)
    }
}
