//! What the verification of a bundle found.

use std::fmt;

use crate::escape;
use crate::evidence::verify::{SignatureState, Standing, VerifyReport};

/// What the verification of a bundle found.
#[derive(Clone, Debug)]
pub struct BundleReport {
    /// The directory that it unpacks to, when it could be read.
    pub name: Option<String>,
    /// Number of files in it.
    pub files: usize,
    /// Who signed its bytes.
    pub signature: SignatureState,
    /// What is wrong with the bundle itself.
    pub problems: Vec<String>,
    /// Each run in it.
    pub runs: Vec<RunInside>,
}

/// A run in a bundle.
#[derive(Clone, Debug)]
pub struct RunInside {
    /// The name of its directory.
    pub run_id: String,
    /// Whether it has a manifest of its own. One that was cut off has none: only the bundle says that its files are these.
    pub sealed: bool,
    /// What its own manifest, chain and signature come to.
    pub report: VerifyReport,
    /// Whether its key is known from nowhere but the bundle, whose signer, who is known, vouches for it.
    pub vouched: bool,
}

impl RunInside {
    /// What the evidence of this run is worth.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.sealed { self.report.standing() } else { Standing::Unsigned }
    }

    /// The same in words.
    #[must_use]
    pub fn word(&self) -> String {
        let by = self.report.signature.fingerprint().unwrap_or("nobody");
        match self.report.standing() {
            _ if !self.sealed => {
                "NOT SEALED: only the bundle says that its files are these".to_owned()
            }
            Standing::Proven if self.vouched => {
                format!("whole, signed by {by}, vouched for by the signer of the bundle")
            }
            Standing::Proven => format!("whole, signed by {by}, a known key"),
            Standing::SignedByStranger => {
                format!("whole, signed by {by}, a key that is not known here")
            }
            Standing::Unsigned => "whole, not signed".to_owned(),
            Standing::Damaged => "DAMAGED".to_owned(),
        }
    }
}

impl Default for BundleReport {
    fn default() -> Self {
        Self {
            name: None,
            files: 0,
            signature: SignatureState::Wrong,
            problems: Vec::new(),
            runs: Vec::new(),
        }
    }
}

impl BundleReport {
    /// Whether the bundle is, to the last bit, what its signer packed. What its runs are worth is another question.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.problems.is_empty() && self.signature != SignatureState::Wrong
    }

    /// What it comes to: no better than the worst run in it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if !self.is_whole() {
            return Standing::Damaged;
        }
        let own = match self.signature {
            SignatureState::Known { .. } => Standing::Proven,
            _ => Standing::SignedByStranger,
        };
        self.runs.iter().map(RunInside::standing).fold(own, Standing::max)
    }
}

impl fmt::Display for BundleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("unknown content");
        let headline = match (&self.signature, self.is_whole()) {
            (_, false) | (SignatureState::Wrong | SignatureState::Absent, _) => "DAMAGED",
            (SignatureState::Known { .. }, true) => "intact, signed by a known key",
            (SignatureState::Stranger { .. }, true) => {
                "intact, signed by a key that is not known here"
            }
        };
        writeln!(f, "bundle {}: {headline}", escape::terminal(name))?;
        match &self.signature {
            SignatureState::Known { fingerprint } => {
                writeln!(f, "  signature  good, by {fingerprint}, over every byte")?;
            }
            SignatureState::Stranger { fingerprint } => {
                writeln!(f, "  signature  good, by {fingerprint}, a key that is not known here")?;
            }
            SignatureState::Wrong | SignatureState::Absent => writeln!(f, "  signature  WRONG")?,
        }
        for problem in &self.problems {
            writeln!(f, "  problem    {}", escape::terminal(problem))?;
        }
        if !self.is_whole() {
            return f.write_str("Do not rely on this bundle: it is not what was packed.\n");
        }
        writeln!(f, "  files      {}, each as the signed list says", self.files)?;
        let of = |vouched: bool| {
            let sound = self.runs.iter().filter(|run| run.standing() == Standing::Proven);
            sound.filter(|run| run.vouched == vouched).count()
        };
        write!(f, "  runs       {}, of them {} signed by a known key", self.runs.len(), of(false))?;
        match of(true) {
            0 => writeln!(f)?,
            vouched => {
                writeln!(f, ", {vouched} by keys that the signer of the bundle vouches for")?;
            }
        }
        let known = |run: &&RunInside| run.standing() == Standing::Proven && !run.vouched;
        for run in self.runs.iter().filter(|run| !known(run)) {
            writeln!(f, "  run        {}: {}", escape::terminal(&run.run_id), run.word())?;
        }
        f.write_str(match self.standing() {
            Standing::Proven => {
                "Nothing was changed since the holder of this key packed it. A signature does not prove when that was, \
                 nor that the holder told the truth.\n"
            }
            Standing::SignedByStranger => {
                "Nothing was changed since it was packed, but anybody can make a key. Compare the fingerprints with \
                 those that you got by another way (--trust).\n"
            }
            Standing::Unsigned => "Do not rely on the runs that nobody signed.\n",
            Standing::Damaged => "Do not rely on the runs that are damaged.\n",
        })
    }
}
