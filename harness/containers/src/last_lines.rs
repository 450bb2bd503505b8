//! The last lines that a program said, for an error.

use std::collections::VecDeque;
use std::fmt;

/// How many are kept.
const KEPT: usize = 12;

/// The last lines of some output; those that are empty do not count.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct LastLines(VecDeque<String>);

impl LastLines {
    pub(crate) fn push(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(line.trim_end().to_owned());
    }
}

/// Each on a line of its own, below what it belongs to.
impl fmt::Display for LastLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_twelve_that_say_something_are_kept() {
        let mut lines = LastLines::default();
        for number in 0..20 {
            lines.push(&format!("line {number}  "));
            lines.push(" ");
        }
        let shown = lines.to_string();
        assert!(shown.starts_with("\n    line 8\n    line 9\n"), "{shown}");
        assert!(shown.ends_with("\n    line 19"), "{shown}");
    }
}
