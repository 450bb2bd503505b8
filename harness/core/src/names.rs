//! Unknown names are answered with the known ones, the nearest first.

/// `known`, the most similar to `wanted` first.
#[must_use]
pub fn nearest_first<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    // Each distance once: there are hundreds of time zones.
    let distance = |name: &str| strsim::normalized_damerau_levenshtein(wanted, name);
    let mut known: Vec<(f64, &str)> =
        known.into_iter().map(|name| (distance(name), name)).collect();
    known.sort_by(|(a, a_name), (b, b_name)| b.total_cmp(a).then_with(|| a_name.cmp(b_name)));
    known.into_iter().map(|(_, name)| name).collect()
}

/// The tail of an error message about an unknown name: the known ones, the nearest first.
#[must_use]
pub fn known_names<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let names = nearest_first(wanted, known);
    if names.is_empty() {
        return "there are none".to_owned();
    }
    format!("known, the nearest first: {}", names.join(", "))
}

/// Longest name in a file, in bytes.
const LONGEST_NAME: usize = 64;

/// Whether a name may stand in a file: 1 to 64 lower-case letters, digits, `_` and `-`.
#[must_use]
pub fn is_simple(name: &str) -> bool {
    let simple =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(simple)
}

/// A check of names in files: they become parts of paths and of commands that people type.
pub(crate) fn simple_name<C>(name: &str, _: &C) -> garde::Result {
    if is_simple(name) {
        return Ok(());
    }
    Err(garde::Error::new("must be 1 to 64 lower-case letters, digits, `_` and `-`"))
}

/// A check that no two entries of a list have the same name.
pub(crate) fn distinct<T, C>(name: fn(&T) -> &str) -> impl Fn(&Vec<T>, &C) -> garde::Result {
    move |all, _| {
        let mut names: Vec<&str> = all.iter().map(name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair.first() == pair.last());
        match twice.and_then(<[&str]>::first) {
            Some(name) => Err(garde::Error::new(format!("the name `{name}` stands twice"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likely_typo_comes_first() {
        let known = ["az_failure", "complete_site_failure", "network_partition"];
        assert_eq!(
            nearest_first("complete_site_faliure", known),
            ["complete_site_failure", "az_failure", "network_partition"]
        );
    }

    #[test]
    fn no_known_name_is_said() {
        assert_eq!(known_names("x", []), "there are none");
    }
}
