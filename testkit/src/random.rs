/// A small random number generator (SplitMix64, by Steele, Lea and Flood, 2014). It gives the same numbers on every
/// machine and in every version.
///
/// A crate for random numbers may change its algorithms, and then every seed that once found a fault would be
/// worthless.
///
/// ```
/// use evs_testkit::Random;
///
/// let (mut one, mut other) = (Random::new(7), Random::new(7));
/// assert_eq!(one.number(), other.number());
/// assert!(one.below(10) < 10);
/// ```
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator with the given seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; all are equally likely, to within one in 2^64 / `end`. `end` must not be 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(end)) >> 64) as u64
    }

    /// A number below `end`; small ones are more likely, as popular hosts and pages are. Half of them are in the first
    /// eighth.
    pub fn skewed(&mut self, end: u64) -> u64 {
        let uniform = self.below(1 << 20) as f64 / (1 << 20) as f64;
        ((uniform * uniform * uniform) * end as f64) as u64
    }

    /// A number below `end`; small ones are far more likely: every second one is among the first sixty-fourth.
    pub fn steep(&mut self, end: u64) -> u64 {
        let uniform = self.below(1 << 20) as f64 / (1 << 20) as f64;
        let cube = uniform * uniform * uniform;
        (cube * cube * end as f64) as u64
    }

    /// One of `choices`, all equally likely.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    pub fn pick<'c, T: ?Sized>(&mut self, choices: &[&'c T]) -> &'c T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// The given number of random bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.number() as u8).collect()
    }
}
