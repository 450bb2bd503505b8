//! Whether what a server shows is what it was asked for.

use std::fmt::Debug;

use super::{Error, NamedToxic, NewProxy, Proxy};

/// A change that was made, to be compared with what is there.
pub(super) struct Claim<'a> {
    /// The call that made it.
    pub(super) call: &'a str,
}

impl Claim<'_> {
    pub(super) fn refuted(&self, wanted: impl Debug, found: impl Debug) -> Error {
        Error::NotInEffect {
            call: self.call.to_owned(),
            wanted: format!("{wanted:?}"),
            found: format!("{found:?}"),
        }
    }

    /// The proxy is there as wanted.
    pub(super) fn proxy(&self, wanted: &NewProxy, found: Option<&Proxy>) -> Result<(), Error> {
        let same = found.is_some_and(|found| {
            found.name == wanted.name
                && found.upstream == wanted.upstream
                && found.enabled == wanted.enabled
                && is_listen(&wanted.listen, &found.listen)
        });
        if same { Ok(()) } else { Err(self.refuted(wanted, found)) }
    }

    /// The toxic is there as wanted, on a proxy that lets it have an effect.
    pub(super) fn toxic(&self, wanted: &NamedToxic, found: &Proxy) -> Result<(), Error> {
        if found.toxic(&wanted.name) != Some(wanted) {
            return Err(self.refuted(wanted, found.toxic(&wanted.name)));
        }
        if !found.enabled {
            let shown = format!("proxy {:?} is disabled", found.name);
            return Err(self.refuted(wanted, shown));
        }
        Ok(())
    }
}

/// Whether a proxy that was asked to listen at `wanted` may show `found`: ports and names get resolved.
pub(super) fn is_listen(wanted: &str, found: &str) -> bool {
    if wanted == found {
        return true;
    }
    let (Some((wanted_host, wanted_port)), Some((found_host, found_port))) =
        (wanted.rsplit_once(':'), found.rsplit_once(':'))
    else {
        return wanted.is_empty();
    };
    let any_port = matches!(wanted_port, "" | "0") && !matches!(found_port, "" | "0");
    let named_host = !is_numeric(wanted_host);
    (any_port || wanted_port == found_port) && (named_host || wanted_host == found_host)
}

fn is_numeric(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ports_may_be_resolved_but_nothing_else() {
        for (wanted, found) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("127.0.0.1:0", "127.0.0.1:41234"),
            ("localhost:80", "127.0.0.1:80"),
            (":80", "[::]:80"),
            ("[::1]:0", "[::1]:41234"),
            ("", "[::]:41234"),
        ] {
            assert!(is_listen(wanted, found), "{wanted} {found}");
        }
        for (wanted, found) in [
            ("127.0.0.1:80", "127.0.0.1:81"),
            ("127.0.0.1:80", "127.0.0.2:80"),
            ("localhost:80", "127.0.0.1:81"),
            ("127.0.0.1:0", "127.0.0.2:41234"),
            ("127.0.0.1:80", ""),
        ] {
            assert!(!is_listen(wanted, found), "{wanted} {found}");
        }
    }
}
