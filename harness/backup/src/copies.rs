//! The 3-2-1 rule: three copies, on two kinds of media, one of them elsewhere. The original is one of them.

use std::collections::BTreeSet;

use serde::Serialize;

/// A destination that has the data.
#[derive(Clone, Debug)]
pub struct Copy {
    /// Its name in the plan.
    pub name: String,
    /// Its kind of media, as the plan says.
    pub media: String,
    /// Whether it is elsewhere, as the plan says.
    pub offsite: bool,
    /// What tells it from others, as seen: its file system, or its bucket.
    pub identity: String,
}

/// What was found of the rule.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Rule {
    /// Whether it is kept.
    pub kept: bool,
    /// Copies, the original among them.
    pub copies: usize,
    /// Kinds of media that they are on.
    pub media: Vec<String>,
    /// Copies elsewhere.
    pub offsite: usize,
    /// What is missing, or does not count, and why.
    pub missing: Vec<String>,
}

/// Compares the copies that there are with the rule. Those that share a place with the original, given as identities, or
/// with one another are lost together, and count once.
#[must_use]
pub fn judge(original_media: &str, originals: &BTreeSet<String>, copies: &[Copy]) -> Rule {
    let mut missing = Vec::new();
    let mut seen: Vec<&Copy> = Vec::new();
    for copy in copies {
        if originals.contains(&copy.identity) {
            missing.push(format!(
                "{} is on the file system of the original, and no copy of its own",
                copy.name
            ));
        } else if let Some(other) = seen.iter().find(|other| other.identity == copy.identity) {
            missing.push(format!("{} is where {} is: {}", copy.name, other.name, copy.identity));
        } else {
            seen.push(copy);
        }
    }
    let media: BTreeSet<&str> =
        seen.iter().map(|copy| copy.media.as_str()).chain([original_media]).collect();
    let offsite = seen.iter().filter(|copy| copy.offsite).count();
    let count = seen.len() + 1;
    if count < 3 {
        missing.push(format!("{count} of 3 copies, the original counted"));
    }
    if media.len() < 2 {
        missing
            .push(format!("all are on one kind of media ({original_media}), and two are wanted"));
    }
    if offsite == 0 {
        missing.push("none is at another place (offsite: true)".to_owned());
    }
    Rule {
        kept: count >= 3 && media.len() >= 2 && offsite > 0,
        copies: count,
        media: media.into_iter().map(str::to_owned).collect(),
        offsite,
        missing,
    }
}

impl Rule {
    /// In a sentence, and a line for each thing that is missing.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { kept, copies, media, offsite, missing } = self;
        let kept = if *kept { "kept" } else { "NOT KEPT" };
        let why = if missing.is_empty() {
            String::new()
        } else {
            format!("\n  - {}", missing.join("\n  - "))
        };
        let word = if *copies == 1 { "copy" } else { "copies" };
        format!(
            "3-2-1 rule: {kept}: {copies} {word}, the original counted; media: {}; {offsite} off-site{why}",
            media.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(name: &str, media: &str, offsite: bool, identity: &str) -> Copy {
        let [name, media, identity] = [name, media, identity].map(str::to_owned);
        Copy { name, media, offsite, identity }
    }

    #[test]
    fn three_copies_two_media_one_elsewhere() {
        let originals = ["root".to_owned()].into();
        let near = copy("near", "disk", false, "nas");
        let far = copy("far", "cloud", true, "bucket");
        let kept = judge("disk", &originals, &[near.clone(), far.clone()]);
        assert!(kept.kept && kept.missing.is_empty(), "{kept:?}");
        assert!(kept.words().contains("kept: 3 copies"), "{}", kept.words());
        for (copies, what) in [
            (vec![far.clone()], "2 of 3 copies"),
            (vec![near.clone(), copy("x", "disk", true, "y")], "one kind of media"),
            (vec![near.clone(), copy("x", "tape", false, "y")], "none is at another place"),
            (vec![near.clone(), copy("far", "cloud", true, "nas")], "far is where near is"),
            (vec![copy("near", "disk", false, "root"), far], "no copy of its own"),
            (vec![], "1 of 3 copies"),
        ] {
            let rule = judge("disk", &originals, &copies);
            assert!(!rule.kept && rule.words().contains(what), "{what}: {}", rule.words());
            assert!(rule.words().contains("NOT KEPT"));
        }
    }
}
