//! Kafka's primitive types, read and written within bounds.
//!
//! What arrives is hostile until decoded: no length is trusted before it is compared with the bytes that are left, and
//! a message may take [`MEMORY_PER_BYTE`] times its own size in memory and no more, whatever counts it claims. Both
//! encodings are one code path: a [`Reader`] or [`Writer`] knows whether its message is *flexible* (KIP-482: compact
//! lengths, tagged fields) and does the right thing.

use thiserror::Error;

/// Why bytes are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Malformed {
    /// A value needs more bytes than there are.
    #[error("{needed} bytes needed, {left} left")]
    Short { needed: u64, left: usize },
    /// An array claims more elements than the bytes left could hold.
    #[error("{count} elements claimed in {left} bytes")]
    TooMany { count: u64, left: usize },
    /// What the message claims would take more memory than any real message of its size.
    #[error("more memory claimed than a message of this size may take")]
    TooLarge,
    /// A value that may not be null is.
    #[error("null where a value must be")]
    Null,
    /// A negative length other than null's.
    #[error("length {0}")]
    NegativeLength(i64),
    /// A variable-length number does not end within its size.
    #[error("a variable-length number without end")]
    EndlessVarint,
    /// The message ended before its bytes did.
    #[error("{0} bytes left over")]
    LeftOver(usize),
}

/// The longest string Kafka accepts, in bytes (`Short.MAX_VALUE`, in both encodings).
pub(crate) const LONGEST_STRING: usize = 0x7fff;

/// How many times its own size a message may take in memory once it is read. Real answers take at most 8; what makes
/// for more are thousands of elements whose every name is empty.
const MEMORY_PER_BYTE: usize = 12;

/// Reads one message from its bytes.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
    flexible: bool,
    /// Bytes of memory that what is read may still take.
    memory: usize,
}

macro_rules! read_number {
    ($($name:ident: $number:ty),*) => {$(
        pub(crate) fn $name(&mut self) -> Result<$number, Malformed> {
            let (number, rest) = self.left.split_first_chunk().ok_or(Malformed::Short {
                needed: u64::from(<$number>::BITS / 8),
                left: self.left.len(),
            })?;
            self.left = rest;
            Ok(<$number>::from_be_bytes(*number))
        }
    )*};
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8], flexible: bool) -> Self {
        Self { left: bytes, flexible, memory: bytes.len().saturating_mul(MEMORY_PER_BYTE) }
    }

    /// Reads a message that lies within this one as bytes, in the plain encoding. What it takes of the memory is this
    /// message's; if it cannot be read, nothing is.
    pub(crate) fn within<T>(
        &mut self,
        bytes: &'a [u8],
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<T, Malformed> {
        let mut inner = Self { left: bytes, flexible: false, memory: self.memory };
        let value = read(&mut inner)?;
        self.memory = inner.memory;
        Ok(value)
    }

    /// Takes so much of the memory that is left.
    fn spend(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.memory = self.memory.checked_sub(bytes).ok_or(Malformed::TooLarge)?;
        Ok(())
    }

    /// Goes on in the plain encoding.
    pub(crate) const fn plain(&mut self) {
        self.flexible = false;
    }

    read_number!(i8: i8, i16: i16, i32: i32, i64: i64);

    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        Ok(self.i8()? != 0)
    }

    pub(crate) fn uuid(&mut self) -> Result<[u8; 16], Malformed> {
        let mut id = [0; 16];
        id.copy_from_slice(self.take(16)?);
        Ok(id)
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Malformed> {
        let short = Malformed::Short { needed: count, left: self.left.len() };
        let split = usize::try_from(count).ok().and_then(|at| self.left.split_at_checked(at));
        let (taken, rest) = split.ok_or(short)?;
        self.left = rest;
        Ok(taken)
    }

    fn uvarint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = self.i8()?.cast_unsigned();
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::EndlessVarint)
    }

    /// A length in whichever encoding; `None` is null. `wide` says whether the plain encoding has 32 bits.
    fn length(&mut self, wide: bool) -> Result<Option<u64>, Malformed> {
        if self.flexible {
            // Compact lengths are one more than the length, and 0 is null.
            return Ok(self.uvarint()?.checked_sub(1));
        }
        let length = if wide { i64::from(self.i32()?) } else { i64::from(self.i16()?) };
        match length {
            -1 => Ok(None),
            _ => u64::try_from(length).map(Some).map_err(|_| Malformed::NegativeLength(length)),
        }
    }

    /// A string or null. Bytes that are no UTF-8 are replaced, not refused: one client's strange id must not hide the
    /// rest of an answer.
    pub(crate) fn nullable_string(&mut self) -> Result<Option<String>, Malformed> {
        let Some(text) = self.nullable_text()? else { return Ok(None) };
        Ok(Some(if let Ok(text) = str::from_utf8(text) {
            self.spend(text.len())?;
            text.to_owned()
        } else {
            // Each byte may become three, and the string grows by doubling.
            self.spend(text.len().saturating_mul(6))?;
            String::from_utf8_lossy(text).into_owned()
        }))
    }

    fn nullable_text(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.length(false)? {
            Some(length) => self.take(length).map(Some),
            None => Ok(None),
        }
    }

    /// Reads past a string or null.
    pub(crate) fn skip_string(&mut self) -> Result<(), Malformed> {
        self.nullable_text().map(drop)
    }

    pub(crate) fn string(&mut self) -> Result<String, Malformed> {
        self.nullable_string()?.ok_or(Malformed::Null)
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length(true)?.ok_or(Malformed::Null)?;
        self.take(length)
    }

    /// An array or null, of elements that take at least `smallest` bytes each. Memory is taken once, for as many as are
    /// claimed: the message must have both the bytes and the memory for them.
    pub(crate) fn nullable_array<T>(
        &mut self,
        smallest: u64,
        mut read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<Vec<T>>, Malformed> {
        let Some(claimed) = self.length(true)? else { return Ok(None) };
        let too_many = Malformed::TooMany { count: claimed, left: self.left.len() };
        let needed = claimed.checked_mul(smallest.max(1)).ok_or(too_many)?;
        let count = usize::try_from(claimed).map_err(|_| too_many)?;
        if usize::try_from(needed).map_or(true, |needed| needed > self.left.len()) {
            return Err(too_many);
        }
        self.spend(count.saturating_mul(size_of::<T>()))?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(read(self)?);
        }
        Ok(Some(elements))
    }

    /// An array of elements that take at least `smallest` bytes each.
    pub(crate) fn array<T>(
        &mut self,
        smallest: u64,
        read: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.nullable_array(smallest, read)?.ok_or(Malformed::Null)
    }

    /// The one element of what newer versions have an array for.
    pub(crate) fn alone<T>(&mut self, element: T) -> Result<Vec<T>, Malformed> {
        self.spend(size_of::<T>())?;
        Ok(vec![element])
    }

    /// A structure or null, as flexible messages mark it.
    pub(crate) fn nullable<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        if self.i8()? < 0 { Ok(None) } else { read(self).map(Some) }
    }

    pub(crate) fn nullable_i32s(&mut self) -> Result<Option<Vec<i32>>, Malformed> {
        self.nullable_array(4, Self::i32)
    }

    pub(crate) fn i32s(&mut self) -> Result<Vec<i32>, Malformed> {
        self.array(4, Self::i32)
    }

    /// Skips the tagged fields that end every structure of a flexible message; nothing in other messages.
    pub(crate) fn tags(&mut self) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.uvarint()? {
            self.uvarint()?;
            let size = self.uvarint()?;
            self.take(size)?;
        }
        Ok(())
    }

    /// Ends the message: all of it must have been read.
    pub(crate) const fn end(&self) -> Result<(), Malformed> {
        match self.left.len() {
            0 => Ok(()),
            left => Err(Malformed::LeftOver(left)),
        }
    }
}

/// Something of ours is too long for the protocol to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a name or list is longer than the protocol allows")]
pub(crate) struct TooLong;

/// Writes one message.
#[derive(Debug)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
    flexible: bool,
    too_long: bool,
}

impl Writer {
    pub(crate) const fn new(flexible: bool) -> Self {
        Self { bytes: Vec::new(), flexible, too_long: false }
    }

    /// The bytes written, unless something did not fit.
    pub(crate) fn finish(self) -> Result<Vec<u8>, TooLong> {
        if self.too_long { Err(TooLong) } else { Ok(self.bytes) }
    }

    pub(crate) fn i8(&mut self, value: i8) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(crate) fn i16(&mut self, value: i16) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.bytes.extend(value.to_be_bytes());
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.i8(i8::from(value));
    }

    pub(crate) fn uuid(&mut self, value: [u8; 16]) {
        self.bytes.extend(value);
    }

    fn uvarint(&mut self, mut value: u32) {
        loop {
            let [.., low] = value.to_be_bytes();
            value >>= 7;
            if value == 0 {
                self.bytes.push(low & 0x7f);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    fn length(&mut self, length: Option<usize>, wide: bool) {
        let length = length.map(i32::try_from);
        match (length, self.flexible) {
            (Some(Err(_)), _) => self.too_long = true,
            (None, true) => self.uvarint(0),
            (Some(Ok(length)), true) => self.uvarint(length.cast_unsigned() + 1),
            (None, false) if wide => self.i32(-1),
            (None, false) => self.i16(-1),
            (Some(Ok(length)), false) if wide => self.i32(length),
            (Some(Ok(length)), false) => match i16::try_from(length) {
                Ok(length) => self.i16(length),
                Err(_) => self.too_long = true,
            },
        }
    }

    pub(crate) fn nullable_string(&mut self, value: Option<&str>) {
        let bytes = value.map(str::as_bytes);
        if bytes.is_some_and(|bytes| bytes.len() > LONGEST_STRING) {
            self.too_long = true;
            return;
        }
        self.length(bytes.map(<[u8]>::len), false);
        self.bytes.extend(bytes.unwrap_or_default());
    }

    pub(crate) fn string(&mut self, value: &str) {
        self.nullable_string(Some(value));
    }

    pub(crate) fn array<T>(&mut self, elements: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.length(Some(elements.len()), true);
        for element in elements {
            write(self, element);
        }
    }

    pub(crate) fn i32s(&mut self, numbers: &[i32]) {
        self.array(numbers, |to, number| to.i32(*number));
    }

    /// A structure or null, as flexible messages mark it.
    pub(crate) fn nullable<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.i8(if value.is_some() { 1 } else { -1 });
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn null_array(&mut self) {
        self.length(None, true);
    }

    /// No tagged fields: what ends every structure of a flexible message.
    pub(crate) fn tags(&mut self) {
        if self.flexible {
            self.uvarint(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_checked_before_they_are_believed() {
        let short = |needed, left| Some(Malformed::Short { needed, left });
        let many = |count, left| Some(Malformed::TooMany { count, left });
        let cases: [(&str, &[u8], bool, Option<Malformed>); 9] = [
            ("a string that fits", &[0, 2, b'o', b'k'], false, None),
            ("a string that does not", &[0, 3, b'o', b'k'], false, short(3, 2)),
            ("a null string", &[0xff, 0xff], false, Some(Malformed::Null)),
            ("a length below null's", &[0xff, 0xfe], false, Some(Malformed::NegativeLength(-2))),
            ("half a length", &[0], false, short(2, 1)),
            ("a compact string that fits", &[3, b'o', b'k'], true, None),
            ("a compact null", &[0], true, Some(Malformed::Null)),
            ("a compact length of 4 GiB", &[0xff, 0xff, 0xff, 0xff, 0x0f], true, short(0xffff_fffe, 0)),
            ("a number without end", &[0xff; 9], true, Some(Malformed::EndlessVarint)),
        ];
        for (name, bytes, flexible, want) in cases {
            assert_eq!(Reader::new(bytes, flexible).string().err(), want, "{name}");
        }
        let cases: [(&str, &[u8], bool, Option<Malformed>); 5] = [
            ("two that fit", &[0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], false, None),
            ("two claimed, one there", &[0, 0, 0, 2, 0, 0, 0, 1], false, many(2, 4)),
            ("two billion claimed", &[0x7f, 0xff, 0xff, 0xff], false, many(0x7fff_ffff, 0)),
            ("compact, four billion claimed", &[0xff, 0xff, 0xff, 0xff, 0x0f, 9], true, many(0xffff_fffe, 1)),
            ("null", &[0xff; 4], false, Some(Malformed::Null)),
        ];
        for (name, bytes, flexible, want) in cases {
            assert_eq!(Reader::new(bytes, flexible).i32s().err(), want, "{name}");
        }
    }

    #[test]
    fn a_message_takes_no_more_memory_than_its_size_allows() {
        let claim = |count: u32, of: usize| {
            let mut bytes = count.to_be_bytes().to_vec();
            bytes.resize(4 + of, 0);
            bytes
        };
        let element = |reader: &mut Reader<'_>| reader.i8().map(|_| [0_u8; 24]);
        // 24 bytes of memory for each byte are too much, whether they are claimed at once or array by array.
        assert_eq!(Reader::new(&claim(1_000, 1_000), false).array(1, element).err(), Some(Malformed::TooLarge));
        assert!(Reader::new(&claim(400, 1_000), false).array(1, element).is_ok());
        let mut nested = 3_u32.to_be_bytes().to_vec();
        for _ in 0..3 {
            nested.extend(claim(200, 200));
        }
        let inner = |reader: &mut Reader<'_>| reader.array(1, element);
        assert_eq!(Reader::new(&nested, false).array(4, inner).err(), Some(Malformed::TooLarge));
        nested.resize(2_000, 0);
        assert!(Reader::new(&nested, false).array(4, inner).is_ok());
    }

    #[test]
    fn a_message_within_another_has_its_memory() {
        let mut inner = 60_u32.to_be_bytes().to_vec();
        inner.resize(64, 0);
        let element = |reader: &mut Reader<'_>| reader.i8().map(|_| [0_u8; 10]);
        let mut reader = Reader::new(&inner, true);
        assert!(reader.within(&inner, |reader| reader.array(1, element)).is_ok());
        assert_eq!(reader.within(&inner, |reader| reader.array(1, element)).err(), Some(Malformed::TooLarge));
        let mut reader = Reader::new(&inner, true);
        let given_up = reader.within(&inner, |reader| reader.array(1, element).and(Err::<(), _>(Malformed::Null)));
        assert_eq!(given_up, Err(Malformed::Null));
        assert!(reader.within(&inner, |reader| reader.array(1, element)).is_ok(), "what was not read takes nothing");
    }

    #[test]
    fn null_is_told_apart_from_none() {
        assert_eq!(Reader::new(&[0], true).nullable_i32s(), Ok(None));
        assert_eq!(Reader::new(&[1], true).nullable_i32s(), Ok(Some(Vec::new())));
        assert_eq!(Reader::new(&[0xff], true).nullable(Reader::i8), Ok(None));
        assert_eq!(Reader::new(&[1, 7], true).nullable(Reader::i8), Ok(Some(7)));
        assert_eq!(Reader::new(&[0, 5], true).skip_string(), Ok(()));
    }

    #[test]
    fn tagged_fields_are_skipped_and_the_end_is_checked() {
        let mut reader = Reader::new(&[2, 0, 1, 7, 9, 2, 7, 7, 5], true);
        assert_eq!(reader.tags(), Ok(()));
        assert_eq!(reader.end(), Err(Malformed::LeftOver(1)));
        assert_eq!(reader.i8(), Ok(5));
        assert_eq!(reader.end(), Ok(()));
        assert!(Reader::new(&[1, 0, 200, 1, 0], true).tags().is_err());
        assert_eq!(Reader::new(&[], false).tags(), Ok(()));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for flexible in [false, true] {
            let long = "x".repeat(LONGEST_STRING);
            let mut writer = Writer::new(flexible);
            writer.string(&long);
            writer.nullable_string(None);
            writer.array(&[1, -1, 300], |writer, number| writer.i32(*number));
            writer.bool(true);
            writer.uuid([7; 16]);
            writer.tags();
            let bytes = writer.finish().expect("within the limits");
            let mut reader = Reader::new(&bytes, flexible);
            assert_eq!(reader.string(), Ok(long));
            assert_eq!(reader.nullable_string(), Ok(None));
            assert_eq!(reader.i32s(), Ok(vec![1, -1, 300]));
            assert_eq!(reader.bool(), Ok(true));
            assert_eq!(reader.uuid(), Ok([7; 16]));
            assert_eq!(reader.tags().and_then(|()| reader.end()), Ok(()));
        }
    }

    #[test]
    fn what_the_protocol_cannot_say_is_refused() {
        let mut writer = Writer::new(true);
        writer.string(&"x".repeat(LONGEST_STRING + 1));
        assert_eq!(writer.finish(), Err(TooLong));
    }

    #[test]
    fn strange_text_is_kept_readable() {
        assert_eq!(Reader::new(&[0, 2, b'a', 0xff], false).string(), Ok("a\u{fffd}".to_owned()));
    }
}
