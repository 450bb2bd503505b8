use std::process::Command;

use super::*;

#[test]
fn a_key_is_made_once_and_only_its_owner_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("signing_key");
    let first = Signer::load_or_create(&path).unwrap();
    let second = Signer::load_or_create(&path).unwrap();
    assert_eq!(first.public(), second.public());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let public = fs::read_to_string(public_path(&path)).unwrap();
    assert_eq!(PublicKey::all_in(&public), [first.public()]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn many_at_once_end_up_with_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("signing_key");
    let keys: Vec<PublicKey> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Signer::load_or_create(&path).unwrap().public()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("signing_key");
    Signer::load_or_create(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = Signer::load_or_create(&path).err().unwrap();
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn a_damaged_key_is_refused_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("signing_key");
    let text = Signer::from_seed([3; 32]).private_text();
    for broken in [
        String::new(),
        text[..text.len() / 2].to_owned(),
        text.replace("OPENSSH", "RSA"),
        text.replace('A', "B"),
    ] {
        write_private(&path, &broken).unwrap();
        assert!(Signer::load_or_create(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), broken);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn the_private_key_is_never_printed() {
    let signer = Signer::from_seed([0xab; 32]);
    let printed = format!("{signer:?} {:?}", signer.public());
    assert!(!printed.contains("171") && !printed.to_lowercase().contains("abab"));
    assert!(printed.contains("SHA256:"));
}

/// Where OpenSSH is installed, it reads our keys and we read its keys.
#[test]
fn openssh_agrees_about_keys() {
    let dir = tempfile::tempdir().unwrap();
    let ours = dir.path().join("ours");
    let signer = Signer::load_or_create(&ours).unwrap();
    let Ok(told) = Command::new("ssh-keygen").arg("-y").arg("-f").arg(&ours).output() else {
        return;
    };
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = String::from_utf8(told.stdout).unwrap();
    assert_eq!(PublicKey::all_in(&told), [signer.public()]);
    let listed = Command::new("ssh-keygen").arg("-lf").arg(&ours).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains(&signer.public().fingerprint()));

    let theirs = dir.path().join("theirs");
    let make = |passphrase: &str| {
        let _ = fs::remove_file(&theirs);
        let mut command = Command::new("ssh-keygen");
        command.args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(&theirs);
        assert!(command.status().unwrap().success());
    };
    make("");
    let public = fs::read_to_string(public_path(&theirs)).unwrap();
    assert_eq!(PublicKey::all_in(&public), [Signer::load(&theirs).unwrap().public()]);
    make("secret");
    let error = Signer::load(&theirs).err().unwrap();
    assert!(error.to_string().contains("passphrase"), "{error}");
}
