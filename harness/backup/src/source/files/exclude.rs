//! What of a tree is left out.

use std::path::Path;

use glob::{MatchOptions, Pattern};

/// `*` stops at `/`, and a dot at the beginning is a letter like any other.
const HOW: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Globs, of which one without `/` means names and one with `/` paths.
pub(super) struct Excluded {
    names: Vec<Pattern>,
    paths: Vec<Pattern>,
}

impl Excluded {
    pub(super) fn of(globs: &[String]) -> Result<Self, String> {
        let mut excluded = Self { names: Vec::new(), paths: Vec::new() };
        for text in globs {
            let glob = Pattern::new(text.trim_matches('/'))
                .map_err(|error| format!("exclude: `{text}`: {error}"))?;
            let path = text.trim_end_matches('/').contains('/');
            if path { &mut excluded.paths } else { &mut excluded.names }.push(glob);
        }
        Ok(excluded)
    }

    /// Whether something at this path below the root is left out, for itself and not for what it lies in. What is not
    /// UTF-8 in a name is compared as U+FFFD, which any `*` and `?` stands for.
    pub(super) fn has(&self, path: &Path) -> bool {
        let any =
            |globs: &[Pattern], text: &str| globs.iter().any(|glob| glob.matches_with(text, HOW));
        path.file_name().is_some_and(|name| any(&self.names, &name.to_string_lossy()))
            || any(&self.paths, &path.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_without_a_slash_means_names_and_one_with_a_slash_paths() {
        let globs = ["*.tmp", "/top", "a/*/cache/", "**/deep/x"].map(str::to_owned);
        let excluded = Excluded::of(&globs).unwrap();
        for left_out in ["x.tmp", "a/b/x.tmp", "top", "a/b/cache", "deep/x", "q/deep/x"] {
            assert!(excluded.has(Path::new(left_out)), "{left_out}");
        }
        for kept in ["x.tmpx", "b/top", "a/b/c/cache", "a/cache", "deep/y", ""] {
            assert!(!excluded.has(Path::new(kept)), "{kept}");
        }
        assert!(Excluded::of(&["[".to_owned()]).is_err());
    }
}
