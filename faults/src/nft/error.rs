//! What can go wrong, in words that say what to do.

use std::io;

/// Why the kernel's packet filter did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// A capability is missing.
    #[error("not permitted: {capability} is needed {place}")]
    NoPermission {
        /// Its name.
        capability: &'static str,
        /// Where it is needed.
        place: &'static str,
    },
    /// The kernel cannot do it.
    #[error("this kernel has no {what}")]
    Unsupported {
        /// What it lacks.
        what: &'static str,
        /// What it answered.
        #[source]
        source: io::Error,
    },
    /// A table of that name belongs to a process that is alive.
    #[error("the table {name} is held by another process, which is alive")]
    Held {
        /// Name of the table.
        name: String,
    },
    /// A table of that name is there, and nobody owns it.
    #[error("there is a table {name} already, and nobody owns it")]
    Exists {
        /// Name of the table.
        name: String,
    },
    /// Not a name for a table.
    #[error("{name:?} is not a name for a table: 1 to 255 of a-z A-Z 0-9 - _ ., a letter first")]
    Name {
        /// What was given.
        name: String,
    },
    /// The namespace cannot be entered, or its socket not be made or used.
    #[error("cannot {doing}")]
    Socket {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The kernel refused one step, and with it all of them.
    #[error("the kernel refused {step}")]
    Refused {
        /// Which one.
        step: &'static str,
        /// What it answered.
        #[source]
        source: io::Error,
    },
    /// The kernel's answer makes no sense.
    #[error("the kernel's answer cannot be understood: {0}")]
    Answer(String),
}

impl NftError {
    /// `CAP_NET_ADMIN` is missing.
    pub(crate) const fn no_net_admin() -> Self {
        Self::NoPermission {
            capability: "CAP_NET_ADMIN",
            place: "in the user namespace that the network belongs to",
        }
    }

    /// The namespace could not be entered.
    pub(crate) fn not_entered(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::PermissionDenied {
            return Self::NoPermission {
                capability: "CAP_SYS_ADMIN",
                place: "to enter another network namespace",
            };
        }
        Self::Socket { doing: "enter the network namespace", source }
    }
}
