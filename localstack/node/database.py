"""The operators' side of one PostgreSQL server: starts it, and fences, promotes and points it as it is told.

It is the first process of its container: with it, all of the server goes. A primary that was not shut down comes back
fenced, so that it decides nothing before it is told its role.
"""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg2

from look import consistency
from web import Answer, Refused, log, password_hash, serve

BIN = Path("/usr/lib/postgresql/15/bin")
VOLUME = Path("/data")
CLUSTER = VOLUME / "cluster"
STATE = VOLUME / "agent.json"
# There is a cluster that can be started. It is not there while one is made, copied or rewound.
COMPLETE = VOLUME / "complete"
# It was restored, and nobody has promoted it yet: until then nobody reads it either.
RESTORED = VOLUME / "restored"
# Of this site, and not on its volume.
ARCHIVE = Path("/backups/wal")
# What the server says.
SAID = VOLUME / "server.log"
# Where faults have the server keep what they take.
SAVED = Path("/saved")
SOCKETS = "/tmp"
PORT = 5432
STARTED_WITHIN = 60
# Who asks for the last of the log waits longer than this.
ANSWERS_WITHIN = 30
# A standby that has begun to follow is told by then that its source has not the log any more.
FOLLOWS_WITHIN = 5
# Longer than it waits before it begins again (wal_retrieve_retry_interval).
STEADY = 0.3
NOT_THERE = "has already been removed"
STOPPED_WITHIN = 10
PROMOTED_WITHIN = 20
# Who asks for a fence waits 5 s: it is asked for first, then the server is ended, and waited for until it is there again.
FENCED_WITHIN = 2.5
BACK_WITHIN = 1.5
# A write that is under way is waited for so long before its session is ended.
WRITES_END_WITHIN = "1s"
BEAT = 0.1
SUPERVISED = 0.5
SETTINGS = """
listen_addresses = '*'
unix_socket_directories = '/tmp'
max_connections = 80
shared_buffers = 32MB
wal_keep_size = 1GB
wal_log_hints = on
hot_standby = on
wal_receiver_timeout = 5s
wal_retrieve_retry_interval = 200ms
wal_receiver_status_interval = 100ms
tcp_keepalives_idle = 5
logging_collector = off
log_min_messages = warning
archive_mode = on
archive_command = 'sh /usr/local/lib/drdrill/archive.sh %p /backups/wal %f'
"""
# Segments of the log are small, because one is archived whole however little is in it.
SEGMENT_MIB = 1
OPERATORS = "local all postgres peer map=operators\n"
COPIES = """
host replication replicator 0.0.0.0/0 scram-sha-256
host all replicator 0.0.0.0/0 scram-sha-256
"""
# The agent is root in its container.
OPERATORS_ARE = "operators root postgres\noperators postgres postgres\n"
# Who only reads may always.
READERS = "host store reader 0.0.0.0/0 scram-sha-256\n"
CLIENTS = "host store app 0.0.0.0/0 scram-sha-256\n"
NO_CLIENTS = "host all all 0.0.0.0/0 reject\n"
# What pg_rewind reads of another server.
REWINDS = (
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)


def run(*command, quiet=False, password=None):
    """Runs a program of PostgreSQL as its user; returns what it said. A password is none of its words, which everybody can read."""
    words = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *map(str, command)]
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(VOLUME)}
    if password:
        environment["PGPASSWORD"] = password
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd="/", check=False)
    said = (done.stdout + done.stderr).strip()
    if done.returncode and not quiet:
        raise Refused(500, f"{Path(str(command[0])).name} ended with {done.returncode}: {said[-600:]}")
    return done.returncode, said


def servers():
    """Processes of the server, by their numbers. Those that have ended are taken leave of, where the server no longer does."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            name, _, rest = (entry / "stat").read_text().rpartition(") ") if entry.name.isdigit() else ("", "", "")
        except OSError:
            continue
        if not name.endswith("(postgres"):
            continue
        if not rest.startswith("Z"):
            found.append(int(entry.name))
            continue
        try:
            os.waitpid(int(entry.name), os.WNOHANG)
        except ChildProcessError:
            pass
    return found


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


class Server:
    """The server, and what it was told."""

    def __init__(self, config):
        self.config = config
        self.lock = threading.RLock()
        # Where clients that change something are sent while this follows, by this server's own memory.
        self.told = json.loads(STATE.read_text()) if STATE.exists() else {"source": None, "leader_url": None}

    # Connections of the operators.

    def ask(self, sql, values=(), database="store", kind=None):
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                if kind:
                    cursor.execute(f"SET synchronous_commit = {kind}")
                cursor.execute(sql, values or None)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.Error as error:
            raise Refused(500, str(error).strip()) from error
        finally:
            connection.close()

    @staticmethod
    def connect(database):
        try:
            connection = psycopg2.connect(host=SOCKETS, port=PORT, dbname=database, user="postgres", connect_timeout=2)
        except psycopg2.Error as error:
            raise Refused(503, f"the database: {error}".strip()) from error
        connection.autocommit = True
        return connection

    # Starting and stopping.

    def prepare(self):
        """What a start of the container does."""
        shutil.chown(VOLUME, "postgres", "postgres")
        ARCHIVE.mkdir(exist_ok=True)
        for directory in (ARCHIVE, SAVED):
            shutil.chown(directory, "postgres", "postgres")
        # Of an archiver that was ended in the middle.
        for left in ARCHIVE.glob(".*.new"):
            left.unlink()
        if not COMPLETE.exists():
            shutil.rmtree(CLUSTER, ignore_errors=True)
            if self.config["create"] and not self.told["source"]:
                self.create()
                return
            if self.config["follow"]:
                self.remember(self.config["follow"])
            if not self.told["source"]:
                raise Refused(500, "there is no data, and nobody to follow")
            self.copy_source()
        self.start_again(clients=self.is_standby())
        if RESTORED.exists():
            # Its roles have the passwords of the day of the backup, which may be those that were stolen.
            for role, password in self.roles():
                self.ask(f"ALTER ROLE {role} PASSWORD {quoted(password)}", kind="local")

    def roles(self):
        """Who is let in over the network, and by which password."""
        passwords = self.config["passwords"]
        return [("app", passwords["app"]), ("reader", passwords["app"]), ("replicator", passwords["replicator"])]

    def create(self):
        size = f"--wal-segsize={SEGMENT_MIB}"
        run(BIN / "initdb", "-D", CLUSTER, "--data-checksums", "--no-sync", "-U", "postgres", "-A", "peer", "-E", "UTF8", size)
        with open(CLUSTER / "postgresql.conf", "a", encoding="utf-8") as settings:
            settings.write(SETTINGS)
            settings.write(f"archive_timeout = {self.config['log_interval_s']}\n")
        self.let_in(clients=False)
        self.start()
        self.ask("CREATE DATABASE store", database="postgres")
        for role, password in self.roles():
            self.ask(f"CREATE ROLE {role} LOGIN PASSWORD {quoted(password)}")
        self.ask("ALTER ROLE replicator REPLICATION")
        self.ask("GRANT pg_checkpoint TO replicator")
        for function in REWINDS:
            self.ask(f"GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO replicator", database="postgres")
        self.ask("CREATE EXTENSION amcheck; CREATE EXTENSION pgcrypto")
        self.ask(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))
        self.set_password(self.config["user"])
        self.wait_for(self.config["synchronous"])
        COMPLETE.touch()
        self.let_in(clients=True)
        self.reload()

    def start(self):
        command = ("-D", CLUSTER, "-l", SAID, "-w", "-t", STARTED_WITHIN, "start")
        code, said = run(BIN / "pg_ctl", *command, quiet=True)
        if code:
            tail = SAID.read_text(errors="replace").splitlines()[-5:]
            raise Refused(500, f"the server does not start: {said}; {' | '.join(tail)}")

    def stop(self):
        for mode in ("fast", "immediate"):
            if self.runs():
                run(BIN / "pg_ctl", "-D", CLUSTER, "-m", mode, "-w", "-t", STOPPED_WITHIN, "stop", quiet=True)
        self.put_down()

    @staticmethod
    def put_down():
        """Ends what there is of a server, as a power cut would: what it has acknowledged is on its disk."""
        give_up = time.monotonic() + STOPPED_WITHIN
        while left := servers():
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if time.monotonic() > give_up:
                raise Refused(500, "the server does not end")
            time.sleep(0.01)
        # One that was killed leaves this behind, and its process ids mean others by now.
        (CLUSTER / "postmaster.pid").unlink(missing_ok=True)

    def start_again(self, clients):
        """Starts a server that has ended; its sessions may have outlived it."""
        self.put_down()
        self.let_in(clients)
        self.start()

    @staticmethod
    def reload():
        """Also where it takes no connections."""
        run(BIN / "pg_ctl", "-D", CLUSTER, "reload")

    def let_in(self, clients):
        if clients:
            RESTORED.unlink(missing_ok=True)
        # Until its roles have their own passwords nobody comes in over the network: what was restored knows those of its day.
        others = "" if RESTORED.exists() else COPIES + READERS
        self.write("pg_hba.conf", OPERATORS + others + (CLIENTS if clients else NO_CLIENTS))
        self.write("pg_ident.conf", OPERATORS_ARE)

    @staticmethod
    def write(name, text):
        # In one step: the server may read it at any time.
        written = CLUSTER / f"{name}.new"
        written.write_text(text, encoding="utf-8")
        shutil.chown(written, "postgres", "postgres")
        written.rename(CLUSTER / name)

    def is_standby(self):
        return (CLUSTER / "standby.signal").exists()

    # Fences.

    @staticmethod
    def has_fence():
        try:
            return NO_CLIENTS in (CLUSTER / "pg_hba.conf").read_text(encoding="utf-8")
        except OSError:
            # Where there is no data nobody decides.
            return True

    def fence(self):
        """No client writes when this returns, and none can. The server runs: what it has can be fetched from it."""
        # First of all: a server that does not answer now may later.
        self.let_in(clients=False)
        if self.runs():
            done = threading.Event()
            asking = threading.Thread(target=self.fence_softly, args=(done,), daemon=True)
            asking.start()
            asking.join(FENCED_WITHIN)
            if done.is_set():
                return
            log(f"fence: clients are still there after {FENCED_WITHIN} s; the server is ended, and started without them")
        if not COMPLETE.exists():
            return
        self.put_down()
        self.let_in(clients=False)
        # It comes back whether that is waited for or not.
        run(BIN / "pg_ctl", "-D", CLUSTER, "-l", SAID, "-W", "start")
        give_up = time.monotonic() + BACK_WITHIN
        while not self.answers() and time.monotonic() < give_up:
            time.sleep(0.02)

    def answers(self):
        try:
            self.in_recovery()
            return True
        except Refused:
            return False

    def fence_softly(self, done):
        """Asks the server, which may not answer."""
        give_up = time.monotonic() + FENCED_WITHIN
        fenced = False
        while time.monotonic() < give_up:
            try:
                if not fenced:
                    self.reload()
                    fenced = self.write_fence()
                if fenced and not self.client_gets_in() and not self.end_clients():
                    done.set()
                    return
            except Refused as error:
                log(f"fence: {error}")
            time.sleep(0.01)

    def write_fence(self):
        """Waits for the writes that are under way; ends their sessions where that takes too long."""
        try:
            if self.in_recovery():
                return True
            sql = f"""SET lock_timeout = '{WRITES_END_WITHIN}'; SET synchronous_commit = local;
                      BEGIN; SELECT pg_advisory_xact_lock(1); UPDATE control SET fenced = true; COMMIT"""
            self.ask(sql)
            return True
        except Refused as error:
            log(f"fence: {error}")
            try:
                self.end_clients()
            except Refused:
                pass
            return False

    def end_clients(self):
        sql = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE usename = 'app' AND backend_type = 'client backend'"""
        return self.ask(sql, database="postgres")[0][0]

    def client_gets_in(self):
        password = self.config["passwords"]["app"]
        try:
            psycopg2.connect(host="127.0.0.1", port=PORT, dbname="store", user="app", password=password, connect_timeout=2).close()
            return True
        except psycopg2.Error:
            return False

    def unfence(self):
        if not self.in_recovery():
            self.ask("UPDATE control SET fenced = false", kind="local")
        self.let_in(clients=True)
        self.reload()

    # Roles.

    def in_recovery(self):
        return self.ask("SELECT pg_is_in_recovery()", database="postgres")[0][0]

    def promote(self, epoch):
        """Becomes the primary of a newer epoch, follows nobody, waits for nobody, and is not fenced."""
        recovering, known = self.ask("SELECT pg_is_in_recovery(), (SELECT epoch FROM control)")[0]
        if not recovering and known == epoch and not self.has_fence():
            return
        if epoch <= known:
            raise Refused(409, f"epoch {epoch} is not newer than {known}")
        self.wait_for([])
        # Nobody acknowledges anything in the epoch before.
        self.let_in(clients=False)
        self.reload()
        self.end_clients()
        if recovering and not self.ask("SELECT pg_promote(true, %s)", (PROMOTED_WITHIN,))[0][0]:
            raise Refused(500, f"it is not promoted after {PROMOTED_WITHIN} s")
        self.ask("UPDATE control SET epoch = %s, fenced = false", (epoch,))
        self.remember({"source": None, "leader_url": None})
        self.let_in(clients=True)
        self.reload()

    def follow(self, target):
        """Becomes a standby of another server. A history that forked is replaced, and a copy of it kept aside."""
        whole = COMPLETE.exists()
        if whole and self.is_standby() and self.runs() and self.in_recovery():
            if self.told["source"] != target["source"] or not self.follows(target):
                self.turn_to(target)
            self.remember(target)
            self.let_in(clients=True)
            self.reload()
            return
        if whole:
            self.let_in(clients=False)
            self.stop()
            aside = VOLUME / f"aside-{int(time.time() * 1000)}"
            run("cp", "-a", "--reflink=auto", CLUSTER, aside)
        self.remember(target)
        self.rewind_or_copy()
        self.start_following(target)

    def turn_to(self, target):
        """Follows somebody else from where it is; where their histories do not fit, from where they do."""
        self.remember(target)
        self.ask(f"ALTER SYSTEM SET primary_conninfo = {quoted(self.source())}", database="postgres")
        self.reload()
        give_up = time.monotonic() + 3
        while not self.follows(target):
            if time.monotonic() > give_up:
                self.stop()
                self.rewind_or_copy()
                self.start_following(target)
                return
            time.sleep(0.05)

    def start_following(self, target):
        """Where the source has not the log any more that this would go on from, all of it is copied."""
        said_before = SAID.stat().st_size if SAID.exists() else 0
        self.let_in(clients=True)
        self.start()
        give_up = time.monotonic() + FOLLOWS_WITHIN
        while not self.follows(target):
            if NOT_THERE.encode() in SAID.read_bytes()[said_before:]:
                log(f"what this would go on from {NOT_THERE} at the source; all of it is copied")
                self.stop()
                self.copy_source()
                self.let_in(clients=True)
                self.start()
                return
            if time.monotonic() > give_up:
                # It goes on trying: whoever waits for it sees that.
                return
            time.sleep(0.05)

    def rewind_or_copy(self):
        if not COMPLETE.exists():
            self.copy_source()
            return
        source, password = f"{self.conninfo()} dbname=postgres", self.replicator()
        # Until its first checkpoint a server that was promoted looks as if it had no history of its own.
        run(BIN / "psql", "-X", "-c", "CHECKPOINT", source, password=password)
        # One that was rewound and is not told that it is a standby would go on by itself, and nobody would see that it did.
        COMPLETE.unlink()
        words = ("-D", CLUSTER, "--source-server", source, "--no-sync")
        code, said = run(BIN / "pg_rewind", *words, quiet=True, password=password)
        if code:
            log(f"pg_rewind: {said}")
            self.copy_source()
            return
        self.be_standby()

    def copy_source(self):
        COMPLETE.unlink(missing_ok=True)
        shutil.rmtree(CLUSTER, ignore_errors=True)
        words = ("-D", CLUSTER, "-d", self.conninfo(), "-X", "stream", "-c", "fast", "--no-sync")
        run(BIN / "pg_basebackup", *words, password=self.replicator())
        self.be_standby()

    def be_standby(self):
        self.discard_newer()
        self.write("postgresql.auto.conf", f"primary_conninfo = {quoted(self.source())}\n")
        self.write("standby.signal", "")
        COMPLETE.touch()

    def discard_newer(self):
        """Puts aside what this site has archived of histories that its source does not know: their numbers are given again, and
        the archive takes no second history of a number."""
        words = ("-X", "-At", "-c", "IDENTIFY_SYSTEM", f"{self.conninfo()} replication=1")
        _, said = run(BIN / "psql", *words, password=self.replicator())
        known = int(said.split("|")[1])
        aside = ARCHIVE / f"aside-{int(time.time() * 1000)}"
        for path in ARCHIVE.iterdir():
            number = re.match("[0-9A-F]{8}", path.name)
            if number and int(number[0], 16) > known:
                aside.mkdir(exist_ok=True)
                path.rename(aside / path.name)

    def replicator(self):
        return self.config["passwords"]["replicator"]

    def conninfo(self):
        host, _, port = self.told["source"].rpartition(":")
        return f"host={host} port={port} user=replicator application_name={self.config['site']} connect_timeout=2"

    def source(self):
        """With what the server needs to get in."""
        return f"{self.conninfo()} password={self.replicator()}"

    def remember(self, target):
        self.told = {"source": target["source"], "leader_url": target["leader_url"]}
        written = STATE.with_suffix(".new")
        written.write_text(json.dumps(self.told), encoding="utf-8")
        written.rename(STATE)

    def wait_for(self, standbys):
        names = ", ".join(f'"{name}"' for name in standbys)
        value = f"FIRST {len(standbys)} ({names})" if standbys else ""
        self.ask(f"ALTER SYSTEM SET synchronous_standby_names = {quoted(value)}", database="postgres")
        self.reload()

    def follows(self, target):
        """One that cannot go on from where it is says for a moment that it streams, and begins again and again."""
        before = self.receiver(target)
        time.sleep(STEADY)
        return before is not None and before == self.receiver(target)

    def receiver(self, target):
        """Number of the process that gets the log from there."""
        host, _, port = target["source"].rpartition(":")
        sql = """SELECT pid FROM pg_stat_wal_receiver
                 WHERE status = 'streaming' AND sender_host = %s AND sender_port = %s"""
        found = self.ask(sql, (host, int(port)), database="postgres")
        return found[0][0] if found else None

    # Looking.

    def status(self):
        sql = """SELECT pg_is_in_recovery(), epoch, fenced,
                   pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN coalesce(pg_last_wal_replay_lsn(), '0/0') ELSE pg_current_wal_lsn() END, '0/0')::bigint,
                   (SELECT extract(epoch FROM clock_timestamp() - at) * 1000 FROM health WHERE id = 2)::bigint,
                   (SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming') +
                   (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming')
                 FROM control"""
        [(recovering, epoch, fenced, lsn, age_ms, streams)] = self.ask(sql)
        # The age of the newest beat that is there: what is missing is at most as old.
        lag_ms = max(0, age_ms) if recovering else None
        return {
            "site": self.config["site"],
            "role": "standby" if recovering else "primary",
            "epoch": epoch,
            "fenced": self.has_fence() or (fenced and not recovering),
            "lsn": lsn,
            **self.told,
            "connected": streams > 0,
            "lag_ms": lag_ms,
            "merged_lsn": None,
            "conflicts": 0,
        }

    # Credentials.

    def set_password(self, user):
        """The user's password is this one from now on."""
        salt, iterations = secrets.token_hex(16), self.config["user"]["iterations"]
        values = (user["name"], salt, iterations, password_hash(user["password"], salt, iterations))
        sql = """INSERT INTO users VALUES (%s, %s, %s, %s) ON CONFLICT (name)
                 DO UPDATE SET salt = excluded.salt, iterations = excluded.iterations, hash = excluded.hash"""
        self.ask(sql, values, kind="local")

    @staticmethod
    def are_refused(passwords):
        """Nobody comes in with these passwords of roles: it is tried."""
        for role, password in passwords.items():
            try:
                psycopg2.connect(host="127.0.0.1", port=PORT, dbname="store", user=role, password=password, connect_timeout=2).close()
            except psycopg2.OperationalError as error:
                if "password authentication failed" in str(error):
                    continue
                raise Refused(503, f"{role}: {error}".strip()) from error
            raise Refused(409, f"the old password of {role} is let in")

    def hand_over_log(self):
        """What was written is archived now, and not when a segment is full or its time is over. One that was ended to fence it
        has all of that on its disk."""
        if not self.in_recovery():
            self.ask("SELECT pg_switch_wal()", database="postgres")

    def beat(self):
        """Changes a row ten times a second where this server decides, so that a standby knows how far it is behind."""
        connection = None
        while True:
            time.sleep(BEAT)
            if self.has_fence():
                continue
            try:
                connection = connection or self.connect("store")
                with connection.cursor() as cursor:
                    cursor.execute("SET synchronous_commit = local")
                    cursor.execute("SELECT pg_is_in_recovery()")
                    if not cursor.fetchone()[0]:
                        cursor.execute("UPDATE health SET at = clock_timestamp() WHERE id = 2")
            except (Refused, OSError, psycopg2.Error):
                if connection:
                    connection.close()
                connection = None

    def supervise(self):
        """Starts a server that has ended again, fenced, so that it decides nothing before it is told its role."""
        while True:
            time.sleep(SUPERVISED)
            with self.lock:
                if self.runs() or not COMPLETE.exists():
                    continue
                log("the server has ended; it is started again")
                try:
                    self.start_again(clients=self.is_standby())
                except (Refused, OSError) as error:
                    log(f"start: {error}")

    @staticmethod
    def runs():
        try:
            return int((CLUSTER / "postmaster.pid").read_text().split()[0]) in servers()
        except (OSError, IndexError, ValueError):
            return False

    def handle(self, request):
        what = (request.method, request.path)
        if what == ("GET", "/status"):
            return Answer(200, self.status())
        if what == ("GET", "/leader"):
            return Answer(200, {"leader_url": self.told["leader_url"], "fenced": self.has_fence()})
        if what == ("GET", "/consistency"):
            return Answer(200, consistency(self.ask))
        steps = {
            "/fence": lambda _: self.fence(),
            "/log": lambda _: self.hand_over_log(),
            "/unfence": lambda _: self.unfence(),
            "/promote": lambda body: self.promote(body["epoch"]),
            "/follow": self.follow,
            "/synchronous": lambda body: self.wait_for(body["standbys"]),
            "/password": self.set_password,
            "/refused": self.are_refused,
        }
        if request.method != "POST" or request.path not in steps:
            raise Refused(404, "no such page")
        body = request.json()
        if request.path == "/log":
            # One that was ended to fence it answers when it is there again.
            give_up = time.monotonic() + ANSWERS_WITHIN
            while not self.answers() and time.monotonic() < give_up:
                time.sleep(0.05)
        with self.lock:
            steps[request.path](body)
        if request.path == "/fence" and not self.answers():
            return Answer(200, {"fenced": True})
        return Answer(200, self.status())


def main(config):
    server = Server(config)
    server.prepare()
    for work in (server.beat, server.supervise):
        threading.Thread(target=work, daemon=True).start()
    serve(config["port"], server.handle, server.stop)


if __name__ == "__main__":
    main(json.load(open(sys.argv[1], encoding="utf-8")))
