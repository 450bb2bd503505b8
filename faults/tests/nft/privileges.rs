//! With which rights it works, and what it says without them.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use drdrill_core::network::{NetworkPlace, Way};
use drdrill_faults::namespace::Namespace;
use drdrill_faults::nft::{NftError, Strike, Table, find};

use crate::world::{LONG, World, rules};

/// Says to this very program what it may do.
const MAY: &str = "DRDRILL_TEST_NFT_MAY";

/// Nobody.
const NOBODY: u32 = 65_534;

/// This program where nobody can read it, which the build directory may not be.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(directory.path(), open).unwrap();
        std::fs::copy(std::env::current_exe().unwrap(), directory.path().join("nft")).unwrap();
        Self(directory)
    }

    /// Runs one test as nobody, by way of another command.
    fn run(&self, may: &str, test: &str, by: &[&str], uid: u32, world: Option<&World>) {
        let program = self.0.path().join("nft");
        let program = program.to_str().unwrap();
        let words = [by, &[program, "--exact", test, "--nocapture"]].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).env(MAY, may).current_dir("/").uid(uid).gid(uid);
        let mut start = || command.output().unwrap();
        let output = match world {
            Some(world) => world.node.namespace.run(start).unwrap(),
            None => start(),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("1 passed"), "{said}{complaint}");
    }
}

/// The rules of the system may forbid it (`user.max_user_namespaces`, Ubuntu's profiles), but ours do not.
#[test]
fn nobody_in_a_namespace_of_its_own_can_do_it() {
    let unshare = ["unshare", "--user", "--map-root-user", "--net"];
    let copy = Copy::new();
    for test in [
        "strikes::a_cut_strikes_exactly_what_it_should",
        "strikes::thirty_percent_are_thirty_percent",
        "strikes::a_limit_limits_each_way_on_its_own",
        "first_packet::everything_is_lost_at_once_and_nothing_afterwards",
        "death::dropping_it_takes_it_back",
        "death::a_lease_that_was_over_can_begin_again",
    ] {
        copy.run("", test, &unshare, NOBODY, None);
    }
}

#[test]
fn one_capability_is_enough_where_one_is() {
    let world = World::new();
    let setpriv = [
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        "--inh-caps=-all,+net_admin",
        "--ambient-caps=-all,+net_admin",
        "--bounding-set=-all,+net_admin",
    ];
    let test = "privileges::with_certain_rights";
    Copy::new().run("net_admin", test, &setpriv, 0, Some(&world));
}

#[test]
fn what_is_missing_is_named() {
    Copy::new().run("nothing", "privileges::with_certain_rights", &["env"], NOBODY, None);
}

/// What the two above run; by itself it has nothing to do.
#[test]
fn with_certain_rights() {
    let own = Namespace::open(&NetworkPlace::Own).unwrap();
    let cut = rules(Strike::Drop, Way::Both);
    match std::env::var(MAY).as_deref() {
        Ok("net_admin") => {
            Table::install(&own, "t", &cut, LONG).unwrap().remove().unwrap();
            assert_eq!(find(&own, "t").unwrap(), None);
        }
        Ok("nothing") => {
            let missing = |error: NftError| match error {
                NftError::NoPermission { capability, .. } => capability,
                other => panic!("{other}"),
            };
            assert_eq!(
                missing(Table::install(&own, "t", &cut, LONG).unwrap_err()),
                "CAP_NET_ADMIN"
            );
            assert_eq!(missing(find(&own, "t").unwrap_err()), "CAP_NET_ADMIN");
            let pid = i32::try_from(std::process::id()).unwrap();
            let entered = Namespace::open(&NetworkPlace::Pid(pid)).unwrap();
            assert_eq!(missing(find(&entered, "t").unwrap_err()), "CAP_SYS_ADMIN");
            let foreign = Namespace::open(&NetworkPlace::Pid(1)).unwrap_err();
            assert_eq!(foreign.kind(), std::io::ErrorKind::PermissionDenied);
        }
        _ => {}
    }
}
