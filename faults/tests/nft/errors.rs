//! What goes wrong says what it is.

use std::io::ErrorKind;

use drdrill_core::network::{NetworkPlace, Way};
use drdrill_faults::namespace::Namespace;
use drdrill_faults::nft::{Found, NftError, Strike, Table, find, remove_ownerless};

use crate::world::{LONG, World, rules};

/// A namespace with a name, which goes away with this.
struct Named(String);

impl Drop for Named {
    fn drop(&mut self) {
        std::process::Command::new("ip").args(["netns", "delete", &self.0]).output().ok();
    }
}

#[test]
fn a_table_that_is_taken_is_left_alone() {
    let world = World::new();
    let node = &world.node.namespace;
    let cut = rules(Strike::Drop, Way::Both);
    let table = Table::install(node, "t", &cut, LONG).unwrap();
    let taken = Table::install(node, "t", &cut, LONG).unwrap_err();
    assert!(matches!(&taken, NftError::Held { name } if name == "t"), "{taken}");
    let kept = remove_ownerless(node, "t").unwrap_err();
    assert!(matches!(kept, NftError::Held { .. }), "{kept}");
    assert_eq!(find(node, "t").unwrap(), Some(Found { owned: true }));
    table.remove().unwrap();
    assert_eq!(find(node, "t").unwrap(), None);
    Table::install(node, "t", &cut, LONG).unwrap().remove().unwrap();
}

#[test]
fn a_table_without_owner_can_be_deleted() {
    let world = World::new();
    let node = &world.node.namespace;
    for family in ["inet", "netdev"] {
        world.node.command(&format!("nft add table {family} t"));
        assert_eq!(find(node, "t").unwrap(), Some(Found { owned: false }));
        let taken = Table::install(node, "t", &rules(Strike::Drop, Way::Both), LONG).unwrap_err();
        assert!(matches!(taken, NftError::Exists { .. }), "{taken}");
        remove_ownerless(node, "t").unwrap();
        assert_eq!(world.node.tables(), "");
    }
    remove_ownerless(node, "t").unwrap();
}

#[test]
fn names_are_checked() {
    let world = World::new();
    let node = &world.node.namespace;
    let cut = rules(Strike::Drop, Way::Both);
    for name in ["", "1", "a b", "a/b", "a\0", "a\n", &"a".repeat(256)] {
        let error = Table::install(node, name, &cut, LONG).unwrap_err();
        assert!(matches!(error, NftError::Name { .. }), "{name:?}: {error}");
    }
    Table::install(node, &"a".repeat(255), &cut, LONG).unwrap().remove().unwrap();
}

#[test]
fn many_peers_fit_and_too_many_are_an_error() {
    let world = World::new();
    let mut cut = rules(Strike::Drop, Way::Both);
    cut.peers = (0..2000_u32).map(|it| std::net::Ipv4Addr::from(it).into()).collect();
    let table = Table::install(&world.node.namespace, "t", &cut, LONG).unwrap();
    let elements = world.node.command("nft list set inet t peers4").matches("0.0.").count();
    assert_eq!(elements, 2000);
    table.remove().unwrap();
    cut.peers = (0..100_000_u32).map(|it| std::net::Ipv4Addr::from(it).into()).collect();
    let error = Table::install(&world.node.namespace, "t", &cut, LONG).unwrap_err();
    assert!(matches!(error, NftError::Socket { .. }), "{error}");
}

#[test]
fn a_namespace_with_a_name_is_found_until_it_is_gone() {
    let name = Named(format!("ddt-{}", std::process::id()));
    let output = std::process::Command::new("ip").args(["netns", "add", &name.0]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let place = NetworkPlace::Netns(name.0.clone());
    let namespace = Namespace::open(&place).unwrap();
    let inside = namespace.run(|| Namespace::open(&NetworkPlace::Own).unwrap().identity()).unwrap();
    assert_eq!(inside, namespace.identity());
    let own = Namespace::open(&NetworkPlace::Own).unwrap();
    assert_ne!(own.identity(), namespace.identity());

    // No device but loopback is there: what leaves cannot be struck, and need not be.
    let cut = rules(Strike::Drop, Way::Both);
    Table::install(&namespace, "t", &cut, LONG).unwrap().remove().unwrap();
    drop(name);
    assert_eq!(Namespace::open(&place).unwrap_err().kind(), ErrorKind::NotFound);
    // It is still open here, and so it is still there.
    assert_eq!(find(&namespace, "t").unwrap(), None);
}
