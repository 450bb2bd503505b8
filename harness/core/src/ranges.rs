//! Sets of sequence numbers, written as ranges: `0-811,813,820-1400`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A set of sequence numbers that is short to write when they are mostly consecutive.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ranges(BTreeSet<u64>);

impl Ranges {
    /// Whether `number` is in the set.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.0.contains(&number)
    }

    /// Adds `number`; false when it was there already.
    pub fn insert(&mut self, number: u64) -> bool {
        self.0.insert(number)
    }

    /// How many numbers are in the set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers, ascending.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<u64> for Ranges {
    fn from_iter<T: IntoIterator<Item = u64>>(numbers: T) -> Self {
        Self(numbers.into_iter().collect())
    }
}

impl std::fmt::Display for Ranges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        let mut numbers = self.0.iter().copied().peekable();
        while let Some(first) = numbers.next() {
            let mut last = first;
            while numbers.next_if(|next| last.checked_add(1) == Some(*next)).is_some() {
                last += 1;
            }
            if !text.is_empty() {
                text.push(',');
            }
            if first == last {
                write!(text, "{first}")?;
            } else {
                write!(text, "{first}-{last}")?;
            }
        }
        f.write_str(&text)
    }
}

/// Ranges that would unfold to more numbers than this are refused, so that a forged history cannot exhaust memory.
const LARGEST_SET: u64 = 100_000_000;

impl std::str::FromStr for Ranges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut set = BTreeSet::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |digits: &str| {
                digits
                    .parse::<u64>()
                    .map_err(|_| format!("`{part}` is not a number or a range `A-B`"))
            };
            let (first, last) = (number(first)?, number(last)?);
            if last < first || last - first >= LARGEST_SET {
                return Err(format!("range `{part}` is not acceptable"));
            }
            set.extend(first..=last);
        }
        Ok(Self(set))
    }
}

impl Serialize for Ranges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_numbers_become_a_range_and_come_back() {
        let set: Ranges = [0, 1, 2, 5, 7, 8].into_iter().collect();
        assert_eq!(set.to_string(), "0-2,5,7-8");
        assert_eq!("0-2,5,7-8".parse::<Ranges>(), Ok(set));
        assert_eq!("".parse::<Ranges>(), Ok(Ranges::default()));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["a", "3-1", "0-18446744073709551615", "1-2-3"] {
            assert!(text.parse::<Ranges>().is_err(), "{text}");
        }
    }
}
