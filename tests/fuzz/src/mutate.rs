//! Makes new inputs of known ones. The same seed makes the same ones.

/// Bytes that parsers care about.
const SPECIAL: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"<",
    b">",
    b"</",
    b"<![CDATA[",
    b"]]>",
    b"<!DOCTYPE a>",
    b"&amp;",
    b"&#0;",
    b"&a;",
    b"=",
    b"==",
    b"+",
    b"/",
    b"-",
    b"_",
    b".",
    b"null",
    b"1e999",
    b"-1",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\n",
    b"\x10\x10\x10\x10",
];

/// A source of mutations: xorshift64*.
pub(crate) struct Mutator(u64);

impl Mutator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or(0) % bound
    }

    /// A known input with one to eight changes, at most `longest` bytes.
    pub(crate) fn mutated(&mut self, known: &[Vec<u8>], longest: usize) -> Vec<u8> {
        let mut input = if known.is_empty() { Vec::new() } else { known[self.below(known.len())].clone() };
        for _ in 0..=self.below(8) {
            self.change(&mut input, known);
        }
        input.truncate(longest);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, known: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let byte = u8::try_from(self.below(256)).unwrap_or(0);
        match self.below(9) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = byte,
            2 if at < input.len() => {
                input.remove(at);
            }
            3 => input.insert(at, byte),
            4 => {
                let special = SPECIAL[self.below(SPECIAL.len())];
                input.splice(at..at, special.iter().copied());
            }
            5 => input.truncate(at),
            6 => {
                // A stretch of it once more, which makes nests and repeats.
                let until = at + self.below(input.len() - at + 1);
                let stretch = input[at..until].to_vec();
                let copies = 1 + self.below(4);
                for _ in 0..copies {
                    input.splice(at..at, stretch.iter().copied());
                }
            }
            7 => {
                let until = (at + self.below(16)).min(input.len());
                input.drain(at..until);
            }
            _ if !known.is_empty() => {
                let other = &known[self.below(known.len())];
                let from = self.below(other.len() + 1);
                let until = from + self.below(other.len() - from + 1);
                input.splice(at..at, other[from..until].iter().copied());
            }
            _ => {}
        }
    }
}
