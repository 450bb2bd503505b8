//! The packet filter of a host, as the `iptables` programs show it.

use std::process::Command;

use super::net::Net;

impl Net {
    /// All rules and chains for both families. Empty tables come into being when somebody looks at them.
    pub(crate) fn iptables(&self, host: usize) -> String {
        let shown = ["iptables-save", "ip6tables-save"].map(|program| {
            let saved = self.output(host, &mut Command::new(program));
            assert!(saved.status.success(), "{saved:?}");
            let saved = String::from_utf8(saved.stdout).unwrap();
            let is_empty = |line: &&str| {
                line.starts_with(['#', '*'])
                    || *line == "COMMIT"
                    || (line.starts_with(':') && line.contains(" ACCEPT ["))
            };
            saved.lines().filter(|line| !is_empty(line)).collect::<Vec<_>>().join("\n")
        });
        shown.concat()
    }
}
