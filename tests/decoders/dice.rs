//! What messages are filled with: the same seed is the same content.

/// Texts that clients and operators may choose.
const TEXTS: [&str; 12] = [
    "",
    "t",
    "orders",
    "consumer",
    "Stable",
    "a\"<b>\0\n\u{1f980}",
    "<script>alert(1)</script>",
    "\u{202e}gnp.exe",
    "größe/日本?#%2e%2e",
    "' OR 1=1 --",
    "\u{ffff}\u{0}\u{10ffff}",
    "{{7*7}}\r\nSet-Cookie: a=b",
];

/// Throws the content of one message in one version.
#[derive(Debug)]
pub(crate) struct Dice {
    state: u64,
    pub(crate) version: i16,
    pub(crate) flexible: bool,
}

impl Dice {
    pub(crate) fn new(seed: u64, version: i16, flexible: bool) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, version, flexible }
    }

    /// A number below 2^32.
    pub(crate) fn number(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        u32::try_from(self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32).expect("32 bits are left")
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let number = usize::try_from(self.number()).expect("32 bits fit");
        number.checked_rem(limit).expect("there is a choice")
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(crate) fn i16(&mut self) -> i16 {
        const NUMBERS: [i16; 8] = [0, -1, 1, 3, 69, 100, i16::MAX, i16::MIN];
        NUMBERS[self.below(NUMBERS.len())]
    }

    pub(crate) fn i32(&mut self) -> i32 {
        match self.below(6) {
            0 => 0,
            1 => -1,
            2 => i32::MAX,
            3 => i32::MIN,
            _ => self.number().cast_signed() >> self.below(32),
        }
    }

    pub(crate) fn i64(&mut self) -> i64 {
        (i64::from(self.i32()) << self.below(32)) ^ i64::from(self.i32())
    }

    pub(crate) fn uuid(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        if self.bool() {
            id.fill_with(|| self.number().to_be_bytes()[0]);
        }
        id
    }

    pub(crate) fn text(&mut self) -> String {
        match self.below(40) {
            0 => "x".repeat(0x7fff),
            1 => "\u{e9}".repeat(self.below(400)),
            _ => TEXTS[self.below(TEXTS.len())].to_owned(),
        }
    }

    pub(crate) fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.bool().then(|| value(self))
    }

    pub(crate) fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let most = if self.below(20) == 0 { 40 } else { 4 };
        (0..self.below(most)).map(|_| element(self)).collect()
    }

    /// As [`Self::list`], of pairs: theirs and ours.
    pub(crate) fn lists<T, O>(&mut self, element: impl FnMut(&mut Self) -> (T, O)) -> (Vec<T>, Vec<O>) {
        self.list(element).into_iter().unzip()
    }

    pub(crate) fn i32s(&mut self) -> Vec<i32> {
        self.list(Self::i32)
    }

    /// `value` in the versions from `first` on, what is the default before.
    pub(crate) fn since<T: Default>(&mut self, first: i16, value: impl FnOnce(&mut Self) -> T) -> T {
        self.since_or(first, T::default(), value)
    }

    /// `value` in the versions from `first` on, `before` before.
    pub(crate) fn since_or<T>(&mut self, first: i16, before: T, value: impl FnOnce(&mut Self) -> T) -> T {
        if self.version >= first { value(self) } else { before }
    }
}
