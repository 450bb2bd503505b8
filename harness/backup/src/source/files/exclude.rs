//! What of a tree is left out.

use std::path::Path;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Globs, of which one without `/` means names and one with `/` paths.
pub(super) struct Excluded {
    names: GlobSet,
    paths: GlobSet,
}

impl Excluded {
    pub(super) fn of(globs: &[String]) -> Result<Self, String> {
        let (mut names, mut paths) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for text in globs {
            let wrong = |error: globset::Error| format!("exclude: {error}");
            let glob: Glob = GlobBuilder::new(text.trim_matches('/'))
                .literal_separator(true)
                .build()
                .map_err(wrong)?;
            if text.trim_end_matches('/').contains('/') {
                paths.add(glob);
            } else {
                names.add(glob);
            }
        }
        let built = |set: GlobSetBuilder| set.build().map_err(|error| format!("exclude: {error}"));
        Ok(Self { names: built(names)?, paths: built(paths)? })
    }

    /// Whether something at this path below the root is left out, for itself and not for what it lies in.
    pub(super) fn has(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| self.names.is_match(Path::new(name)))
            || self.paths.is_match(path)
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
