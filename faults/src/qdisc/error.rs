//! What can go wrong, in words that say what to do.

use std::io;
use std::net::IpAddr;

use super::Device;

/// Why a queueing discipline could not be put, removed or looked at.
#[derive(Debug, thiserror::Error)]
pub enum QdiscError {
    /// A capability is missing.
    #[error("not permitted: {capability} is needed {place}")]
    NoPermission {
        /// Its name.
        capability: &'static str,
        /// Where it is needed.
        place: &'static str,
    },
    /// The kernel does not know a discipline, or what leads packets to one.
    #[error("this kernel has no {module}")]
    Unsupported {
        /// Name of what it lacks, as a module.
        module: String,
    },
    /// Somebody has put a discipline there.
    #[error(
        "device {device} has a queueing discipline of somebody else's ({by}), and drdrill replaces none"
    )]
    Taken {
        /// Name of the device.
        device: String,
        /// Kind and handle.
        by: String,
    },
    /// No device has any of the addresses.
    #[error("no device there has {}", one_of(.addresses))]
    NoDevice {
        /// Those of the node.
        addresses: Vec<IpAddr>,
    },
    /// Something else went wrong.
    #[error("cannot {doing}: {source}")]
    Failed {
        /// What was tried.
        doing: String,
        /// Why not.
        source: io::Error,
    },
}

fn one_of(addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    addresses.join(" or ")
}

impl QdiscError {
    /// For `map_err`: an error while doing something.
    pub(super) fn doing(doing: impl Into<String>) -> impl Fn(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Failed { doing: doing.clone(), source }
    }

    /// The namespace could not be entered.
    pub(super) fn not_entered(source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::PermissionDenied {
            return Self::NoPermission {
                capability: "CAP_SYS_ADMIN",
                place: "to enter another network namespace",
            };
        }
        Self::doing("enter the network namespace")(source)
    }

    /// The kernel refused something that this module of it does.
    pub(super) fn refused(source: io::Error, module: &str, device: &Device) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NoPermission {
                capability: "CAP_NET_ADMIN",
                place: "in the user namespace that the network belongs to",
            },
            io::ErrorKind::NotFound => Self::Unsupported { module: module.to_owned() },
            io::ErrorKind::AlreadyExists => {
                Self::Taken { device: device.name.clone(), by: "put there meanwhile".to_owned() }
            }
            _ => Self::doing(format!("change {module} of device {}", device.name))(source),
        }
    }
}
