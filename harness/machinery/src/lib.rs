//! The machinery that heals: requirements C1 to C5, C7, C8 and C10.
//!
//! 1. [`monitor`] — looks at the health of a site and decides when to fail over (C1).
//! 2. [`plan`] — steps in order, rolled back in reverse when one fails (C2).
//! 3. [`builtin`] — the failover and the failback that drdrill brings along (C2 to C5).
//! 4. [`restore`] — the restore from backups, and their verification (C7, C8).
//! 5. [`standing`] — how what takes over stands by, and what that adds to the plans (C9).
//! 6. [`runbook`] — a runbook followed as the recovery plan, by people, [`command`]s and the machinery (C2, C12).
//! 7. [`verify`] — functionality checks after a recovery (C10); [`checks`] — those of the operator's own.

pub mod builtin;
pub mod checks;
pub mod command;
pub mod monitor;
pub mod plan;
pub mod restore;
pub mod runbook;
pub mod standing;
mod state;
pub mod verify;
