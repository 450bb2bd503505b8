//! `PostgreSQL` servers of a test's own, on loopback, for as long as the test wants them.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use drdrill_core::postgres::{PostgresCall, Rows, Server, Statement, Tls};
use drdrill_core::probe::Call;
use drdrill_core::secret::Secret;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use super::wait::until;

/// Where Debian has the programs of `PostgreSQL` 15.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// A server may take so long to start, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);
/// The password of the only user, `drdrill`.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// The rows of the tests.
pub(crate) const TABLE: &str = "drdrill_writes";

/// A server. Killed when dropped, however often it was started.
pub(crate) struct Postgres {
    dir: TempDir,
    pub(crate) address: String,
}

impl Postgres {
    /// A new, empty server that runs.
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// As [`Self::start`], with more lines in its configuration.
    pub(crate) fn start_with(settings: &str) -> Self {
        let server = Self::empty();
        fs::write(server.path("password"), PASSWORD).unwrap();
        own(&server.path("password"));
        let data = server.path("data");
        let made = server
            .program("initdb")
            .arg("-D")
            .arg(&data)
            .args(["--no-sync", "-U", "drdrill", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"])
            .arg(format!("--pwfile={}", server.path("password").display()))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let access = "host replication all 127.0.0.0/8 scram-sha-256\n";
        append(&data.join("pg_hba.conf"), access);
        server.configure(settings);
        server.start_again();
        server
    }

    /// A standby of this server, of that name; it runs.
    pub(crate) fn standby(&self, name: &str) -> Self {
        let standby = Self::empty();
        let (host, port) = self.address.split_once(':').unwrap();
        let from = format!(
            "host={host} port={port} user=drdrill password='{PASSWORD}' application_name={name}"
        );
        let copied = standby
            .program("pg_basebackup")
            .args(["-R", "--no-sync", "-c", "fast", "-X", "stream", "-d", &from, "-D"])
            .arg(standby.path("data"))
            .output()
            .unwrap();
        assert!(copied.status.success(), "{copied:?}");
        standby.configure("");
        standby.start_again();
        standby
    }

    /// Everything but a database.
    fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        own(dir.path());
        // A port that is free now; whoever takes it first is noticed by the server that does not start.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { dir, address: listener.local_addr().unwrap().to_string() };
        // Sessions outlive a server that is killed for a moment, and while they do no new one starts; nor while its number is
        // taken, if only because nobody has asked yet how it ended.
        let script = format!(
            "#!/bin/sh\n[ ! -e {first} ] || . {first}\nwhile [ -n \"$(find /proc -maxdepth 2 -name cwd -lname {data} 2>/dev/null)\" ]; \
             do sleep 0.02; done\nrm -f {data}/postmaster.pid\necho $$ > {pid}\nexec {words} {PROGRAMS}/postgres -D {data} >> {log} 2>&1\n",
            first = server.path("first").display(),
            pid = server.pid_file().display(),
            words = as_nobody().join(" "),
            data = server.path("data").display(),
            log = server.path("log").display(),
        );
        fs::write(server.script(), script).unwrap();
        fs::set_permissions(server.script(), fs::Permissions::from_mode(0o755)).unwrap();
        server
    }

    fn configure(&self, settings: &str) {
        let port = self.address.split_once(':').unwrap().1;
        let text = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nfsync = off\nmax_connections = 200\n\
             superuser_reserved_connections = 0\nmax_wal_senders = 4\nshared_buffers = 16MB\n{settings}\n"
        );
        append(&self.path("data/postgresql.conf"), &text);
    }

    /// What its start script does first, from now on, in the words of a shell.
    pub(crate) fn first(&self, lines: &str) {
        fs::write(self.path("first"), lines).unwrap();
    }

    /// Starts it, as somebody else would.
    pub(crate) fn start_again(&self) {
        let mut command = Command::new("setsid");
        command.arg("-f").arg(self.script());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success());
        until("the server answers", PATIENCE, || self.try_psql("SELECT 1").ok());
    }

    /// Ends it at once, as `pg_ctl stop -m immediate` does, and waits until it is gone.
    pub(crate) fn stop(&self, signal: Signal) {
        let pid = self.pid();
        kill(Pid::from_raw(pid), signal).unwrap();
        until("the server is gone", PATIENCE, || (!runs(pid)).then_some(()));
        until("its sessions are gone", PATIENCE, || self.pids().is_empty().then_some(()));
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.path("start")
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.path("pid")
    }

    pub(crate) fn pid(&self) -> i32 {
        fs::read_to_string(self.pid_file()).unwrap().trim().parse().unwrap()
    }

    /// All processes of this server, by the directory in which they work.
    fn pids(&self) -> Vec<i32> {
        let data = fs::canonicalize(self.path("data")).unwrap();
        let all = fs::read_dir("/proc").unwrap();
        let pids = all.filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse().ok());
        pids.filter(|pid: &i32| {
            fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data)
        })
        .collect()
    }

    /// What psql prints, without its frame.
    #[track_caller]
    pub(crate) fn psql(&self, sql: &str) -> String {
        self.try_psql(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    pub(crate) fn try_psql(&self, sql: &str) -> Result<String, String> {
        let output = self.psql_command(sql).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// psql, told to say that.
    pub(crate) fn psql_command(&self, sql: &str) -> Command {
        let (host, port) = self.address.split_once(':').unwrap();
        let mut command = Command::new(format!("{PROGRAMS}/psql"));
        command.args([
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "drdrill",
            "-d",
            "postgres",
        ]);
        command.args(["-h", host, "-p", port, "-c", sql]);
        command.env_clear().env("PGPASSWORD", PASSWORD).stdin(Stdio::null());
        command
    }

    /// Creates the table of the tests.
    pub(crate) fn with_table(self) -> Self {
        self.psql(&format!(
            "CREATE TABLE {TABLE} (drill text, seq bigint, id text, client text, checksum text, payload text, \
             PRIMARY KEY (drill, seq))"
        ));
        self
    }

    pub(crate) fn server(&self) -> Server {
        Server {
            address: self.address.clone(),
            database: "postgres".to_owned(),
            user: "drdrill".to_owned(),
            password: Some(Secret::new(PASSWORD.to_owned()).unwrap()),
            tls: Tls::Disable,
            ca: None,
        }
    }

    /// A call that inserts a row.
    pub(crate) fn insert(&self) -> Call {
        self.call(Statement::Insert(rows()))
    }

    pub(crate) fn call(&self, statement: Statement) -> Call {
        Call::Postgres(Box::new(PostgresCall { server: self.server(), statement }))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new("/usr/bin/env");
        command.args(as_nobody()).arg(format!("{PROGRAMS}/{name}"));
        command.current_dir(self.dir.path()).env_clear().env("PATH", "/usr/bin:/bin");
        command.stdin(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        for pid in self.pids() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// The rows of the tests that are no drill.
pub(crate) fn rows() -> Rows {
    Rows { table: TABLE.to_owned(), drill: "test".to_owned(), client: "writer".to_owned() }
}

/// The server refuses to be run by root.
fn as_nobody() -> Vec<&'static str> {
    if geteuid().is_root() {
        vec!["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    } else {
        Vec::new()
    }
}

/// Gives a file to whom the server runs as.
pub(crate) fn own(path: &Path) {
    if geteuid().is_root() {
        let nobody = User::from_name("nobody").unwrap().unwrap();
        chown(path, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
    }
}

fn append(path: &Path, text: &str) {
    let old = fs::read_to_string(path).unwrap_or_default();
    fs::write(path, old + text).unwrap();
}

fn runs(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}
