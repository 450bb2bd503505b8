"""The operators' host for restores: reads the backups of a site, and makes of one a cluster in a directory of its own.

Nobody reaches the servers that run here. What it is asked, by the words of its command line, it answers with one line of
JSON: what was found, or `error`.
"""

import fcntl
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import psycopg2

from backup import digest, number_of
from database import BIN, SEGMENT_MIB, quoted, run
from look import consistency
from web import Refused

SEGMENT = SEGMENT_MIB << 20
RECOVERED_WITHIN = 600
LOG = Path("/tmp/restore.log")
# In force until what was restored is served: nobody is let in, and nothing is archived from here.
ALONE = """
listen_addresses = ''
unix_socket_directories = '/tmp'
archive_command = ''
synchronous_standby_names = ''
fsync = off
primary_conninfo = ''
log_timezone = 'UTC'
"""
RECORD = re.compile(r"rmgr: (\w+) .*? tx: +(\d+), lsn: .*? desc: (.*)")
CHANGES = ("UPDATE", "HOT_UPDATE", "DELETE")


class Wrong(Exception):
    """What is wrong with a backup, or with what was made of it."""


def described(place, name):
    try:
        said = json.loads((place / f"{name}.json").read_text())
        return {key: said[key] for key in ("taken_at_ms", "bytes", "sha256", "manifest_sha256", "timeline", "start", "end", "position", "added_to")}
    except FileNotFoundError as error:
        raise Wrong(f"{name} has no description: it was never finished") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Wrong(f"the description of {name} cannot be read: {error!r}") from error


def points(place):
    """All of them, newest first."""
    names = {path.stem for ending in ("tar", "json") for path in place.glob(f"full-*.{ending}")}
    found = []
    later = None
    for name in sorted(names, reverse=True):
        files = [f"{name}.{ending}" for ending in ("tar", "manifest", "json") if (place / f"{name}.{ending}").exists()]
        point = {"name": name, "full": f"{name}.tar", "files": files, "described": None, "wrong": None}
        try:
            said = described(place, name)
            point["described"] = {key: said[key] for key in ("taken_at_ms", "bytes", "position")}
            point["files"] += log_of(place, said, later)
            later = said
        except Wrong as wrong:
            point["wrong"] = str(wrong)
        found.append(point)
    return {"points": found}


def lsn_of(number):
    """A position in bytes, as PostgreSQL writes it."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def segment(place, timeline, number):
    start = number * SEGMENT
    return place / "wal" / f"{timeline:08X}{start >> 32:08X}{(start & 0xFFFFFFFF) // SEGMENT:08X}"


def log_of(place, said, later):
    """Segments of the log that go on from a backup, up to where a later one begins."""
    first, until = (number_of(one["start"]) // SEGMENT if one else None for one in (said, later))
    found = []
    for path in sorted((place / "wal").iterdir()):
        if not re.fullmatch("[0-9A-F]{24}", path.name):
            continue
        timeline, high, low = (int(path.name[part : part + 8], 16) for part in (0, 8, 16))
        number = high * ((1 << 32) // SEGMENT) + low
        if timeline == said["timeline"] and first <= number and (until is None or number < until):
            found.append(f"wal/{path.name}")
    return found


def is_whole(path):
    return path.exists() and path.stat().st_size == SEGMENT


def first_gap(place, said):
    """The position at which the first segment that is not there whole begins, after the start of a backup."""
    number = number_of(said["start"]) // SEGMENT
    while is_whole(segment(place, said["timeline"], number)):
        number += 1
    return number * SEGMENT


def log_files(place, count):
    """The newest segments, oldest first."""
    whole = sorted(path.name for path in (place / "wal").iterdir() if re.fullmatch("[0-9A-F]{24}", path.name) and is_whole(path))
    return {"files": [f"wal/{name}" for name in whole[-count:]]}


def reach(place, name):
    """How far the log goes on from a backup: up to a segment that is not there whole, or a record that is not."""
    said = described(place, name)
    gap = first_gap(place, said)
    words = [BIN / "pg_waldump", "-q", "-p", place / "wal", "-t", str(said["timeline"]), "-s", said["start"], "-e", lsn_of(gap)]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    broken = re.search(r"error in WAL record at ([0-9A-F]+/[0-9A-F]+)", done.stderr)
    return {"position": min(gap, number_of(broken[1])) if broken else gap}


def newest(place):
    """How far the newest backup and the log that goes on from it reach without a gap."""
    for description in sorted(place.glob("full-*.json"), reverse=True):
        try:
            said = described(place, description.stem)
        except Wrong:
            continue
        return {"position": max(said["position"], first_gap(place, said))}
    return {"position": 0}


def check(place, name):
    """Compares what is there with its description."""
    said = described(place, name)
    total = 0
    for ending, sum_ in (("tar", "sha256"), ("manifest", "manifest_sha256")):
        path = place / f"{name}.{ending}"
        if not path.exists():
            raise Wrong(f"{path.name} is not there")
        if ending == "tar" and path.stat().st_size != said["bytes"]:
            raise Wrong(f"{path.name} has {path.stat().st_size} bytes and not {said['bytes']}, so not its SHA-256")
        if digest(path) != said[sum_]:
            raise Wrong(f"{path.name} has not its SHA-256")
        total += path.stat().st_size
    for number in range(number_of(said["start"]) // SEGMENT, (number_of(said["end"]) - 1) // SEGMENT + 1):
        needed = segment(place, said["timeline"], number)
        if not is_whole(needed):
            raise Wrong(f"segment {needed.name} of the log, which it needs, is not there whole")
        total += SEGMENT
    return {"bytes": total}


def strangers(place, said):
    """How many transactions were committed after a backup, up to the first that changed what is only added to; and that one, and
    the next of its kind."""
    names = {file: name for name, file in said["added_to"].items()}
    # As the log names them: `base` is tablespace 1663.
    relations = {file.replace("base/", "1663/"): name for file, name in names.items()}
    words = [BIN / "pg_waldump", "-p", place / "wal", "-t", str(said["timeline"]), "-s", said["start"], "-r", "Heap", "-r", "Transaction"]
    # No further than a recovery gets.
    words += ["-e", lsn_of(first_gap(place, said))]
    touched, committed, found = {}, 0, []
    with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as dump:
        for line in dump.stdout:
            record = RECORD.match(line)
            if not record:
                continue
            manager, transaction, what = record.groups()
            if manager == "Heap":
                relation = re.search(r"rel (\d+/\d+/\d+)", what)
                if what.startswith(CHANGES) and relation and relation[1] in relations:
                    touched.setdefault(transaction, set()).add(relations[relation[1]])
                continue
            if not what.startswith("COMMIT"):
                continue
            subs = re.search(r"subxacts: ([\d ]+)", what)
            changed = set().union(*(touched.get(one, ()) for one in [transaction, *(subs[1].split() if subs else [])]))
            gone = re.search(r"rels: ([^;]+)", what)
            dropped = {names[file] for file in gone[1].split() if file in names} if gone else set()
            if changed or dropped:
                when = re.match(r"COMMIT (?:PREPARED )?(.*? \w+)(?:;|$)", what)
                did = f"drops {' and '.join(sorted(dropped))}" if dropped else f"changes or removes rows of {' and '.join(sorted(changed))}"
                found.append({"transaction": transaction, "at": when[1] if when else "?", "what": did, "tables": changed | dropped})
                if len(found) == 2:
                    dump.kill()
                    break
            committed += not found
    return committed, found


def instant(text):
    """Milliseconds since 1970."""
    text = re.sub(r"([+-]\d\d)$", r"\1:00", text.strip())
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def ask(sql):
    connection = psycopg2.connect(host="/tmp", dbname="store", user="postgres", connect_timeout=2)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


def do(sql):
    """Carries statements out in one transaction."""
    connection = psycopg2.connect(host="/tmp", dbname="store", user="postgres", connect_timeout=2)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
    finally:
        connection.close()


class Alone:
    """A server that runs on a cluster where nobody reaches it, and leaves its settings as they were."""

    def __init__(self, cluster, settings=""):
        self.cluster = cluster
        self.settings = settings
        self.file = cluster / "postgresql.auto.conf"

    def __enter__(self):
        self.before = self.file.read_text()
        self.file.write_text(self.before + ALONE + self.settings)
        LOG.unlink(missing_ok=True)
        code, said = run(BIN / "pg_ctl", "-D", self.cluster, "-l", LOG, "-w", "-t", 60, "start", quiet=True)
        if code:
            said = f"{said}; {self.last_words()}"
            self.stop()
            raise Wrong(f"a server does not start on it: {said}")
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Two servers on one cluster would destroy it, and one that goes on here is in the way of the next."""
        for mode in ("fast", "immediate"):
            code, said = run(BIN / "pg_ctl", "-D", self.cluster, "-m", mode, "-w", "-t", 60, "stop", quiet=True)
            if not code or not (self.cluster / "postmaster.pid").exists():
                self.file.write_text(self.before)
                return
        raise Wrong(f"the server on it does not end: {said}")

    @staticmethod
    def last_words():
        lines = LOG.read_text(errors="replace").splitlines() if LOG.exists() else []
        return " | ".join(line for line in lines[-6:])

    def recovered(self):
        give_up = time.monotonic() + RECOVERED_WITHIN
        while time.monotonic() < give_up:
            try:
                if not ask("SELECT pg_is_in_recovery()")[0][0]:
                    return
            except psycopg2.Error as error:
                if not (self.cluster / "postmaster.pid").exists():
                    raise Wrong(f"the recovery ended early: {self.last_words()}") from error
            time.sleep(0.05)
        raise Wrong(f"it has not recovered after {RECOVERED_WITHIN} s")


def recover(cluster, place, until=None, then=None):
    """Carries the log out on a cluster, to its end or to just before a transaction, and `then` does something with it; returns
    what the server said, and what that came to."""
    # A segment that is cut short would end the recovery in an error; without it, the recovery ends before it.
    whole = f"case %f in *.*) ;; *) test $(stat -c %%s {place}/wal/%f) = {SEGMENT} ;; esac"
    settings = f"restore_command = {quoted(f'{whole} && cp {place}/wal/%f %p')}\nrecovery_target_timeline = 'current'\n"
    if until:
        settings += f"recovery_target_xid = '{until}'\nrecovery_target_inclusive = off\nrecovery_target_action = 'promote'\n"
    asked = cluster / "recovery.signal"
    asked.touch()
    shutil.chown(asked, "postgres", "postgres")
    with Alone(cluster, settings) as server:
        server.recovered()
        came_to = then() if then else None
    return LOG.read_text(errors="replace"), came_to


class Later:
    """What was written after a transaction, on its way from a copy that has all of the log to one that stops before it: tables
    that the transaction did not touch as they are there, and of those that it did the rows that are as they were written."""

    KEPT = Path("/tmp/later")

    def __init__(self, touched):
        self.touched = touched
        self.tables = []
        shutil.rmtree(self.KEPT, ignore_errors=True)
        self.KEPT.mkdir(mode=0o700)
        shutil.chown(self.KEPT, "postgres", "postgres")

    def take(self):
        sql = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        self.tables = [name for (name,) in ask(sql)]
        for table in self.tables:
            as_written = "WHERE encode(sha256(convert_to(value, 'UTF8')), 'hex') = lower(checksum)" if table == "entries" else ""
            do(f"COPY (SELECT * FROM {table} {as_written}) TO '{self.KEPT}/{table}'")

    def give(self):
        """Returns how many entries that brought."""
        [(before,)] = ask("SELECT count(*) FROM entries")
        for table in self.tables:
            path = f"{self.KEPT}/{table}"
            if table in self.touched:
                do(f"CREATE TEMP TABLE later (LIKE {table}); COPY later FROM '{path}'; INSERT INTO {table} SELECT * FROM later ON CONFLICT DO NOTHING")
            else:
                do(f"TRUNCATE {table}; COPY {table} FROM '{path}'")
        [(after, _)] = ask("SELECT count(*), setval(pg_get_serial_sequence('entries', 'lsn'), greatest(max(lsn), 1)) FROM entries")
        return after - before


def restore(place, name, target):
    """Makes a cluster of a backup and of its log. A transaction of the log that is not the application's is left out: the log is
    carried out to just before it, and what the application wrote later is carried over."""
    began = time.monotonic()
    said = described(place, name)
    target.mkdir(mode=0o700)
    done = subprocess.run(["tar", "-xf", place / f"{name}.tar", "-C", target], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(f"{name}.tar cannot be read: {done.stderr.strip()[-300:]}")
    subprocess.run(["chown", "-R", "postgres:postgres", target], check=True)
    words = [BIN / "pg_verifybackup", "-e", "-m", place / f"{name}.manifest", "-w", place / "wal", target]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong((done.stdout + done.stderr).strip()[-600:])
    committed, found = strangers(place, said)
    stopped = None
    if found:
        stranger, *next_one = found
        # Of what came after the next one nobody knows what it struck: it is left out.
        until = next_one[0]["transaction"] if next_one else None
        later, copy = Later(stranger["tables"]), target.with_name(f"{target.name}-later")
        try:
            subprocess.run(["cp", "-a", "--reflink=auto", target, copy], check=True)
            recover(copy, place, until, later.take)
            log, carried = recover(target, place, stranger["transaction"], later.give)
        finally:
            shutil.rmtree(copy, ignore_errors=True)
            shutil.rmtree(later.KEPT)
        stopped = f"transaction {stranger['transaction']} of {stranger['at']} {stranger['what']}; {carried} entries of later ones are carried over"
        if until:
            stopped += f", up to transaction {until} of {next_one[0]['at']}, which {next_one[0]['what']}"
    else:
        log, _ = recover(target, place)
    reached = re.search(r"redo done at ([0-9A-F]+/[0-9A-F]+)", log)
    last = re.search(r"last completed transaction was at log time (\S+ \S+)", log)
    # On the disk, and whole: before that no server is started on it.
    run(BIN / "initdb", "--sync-only", "-D", target)
    for mark in ("restored", "complete"):
        (target.parent / mark).touch()
    return {
        "bytes": said["bytes"],
        "replayed": committed,
        "position": number_of(reached[1]) if reached else said["position"],
        "reaches_ms": max(instant(last[1]), said["taken_at_ms"]) if last else said["taken_at_ms"],
        "stopped": stopped,
        "took_ms": int((time.monotonic() - began) * 1000),
    }


def consistent(cluster):
    """Whether what was restored is what was written, and its indexes and pages fit."""
    with Alone(cluster):
        try:
            seen = consistency(ask)
        except psycopg2.Error as error:
            raise Wrong(str(error).strip()) from error
        problems = seen["problems"]
        code, why = run(BIN / "pg_amcheck", "-h", "/tmp", "-U", "postgres", "store", quiet=True)
        if code:
            problems.append(f"pg_amcheck: {why[-300:]}")
    code, why = run(BIN / "pg_checksums", "--check", "-D", cluster, quiet=True)
    if code:
        problems.append(f"pg_checksums: {why[-300:]}")
    if problems:
        raise Wrong("; ".join(problems))
    return {"rows": seen["entries"]}


def answer(what, *words):
    place = Path(words[0])
    if what == "points":
        return points(place)
    if what == "newest":
        return newest(place)
    if what == "log":
        return log_files(place, int(words[1]))
    if what == "reach":
        return reach(place, words[1])
    if what == "check":
        return check(place, words[1])
    # One server at a time.
    with open("/tmp/lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return restore(place, words[1], Path(words[2])) if what == "restore" else consistent(place)


def main(words):
    if words[0] == "wait":
        # What ends here is nobody's child.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            signal.pause()
    try:
        print(json.dumps(answer(*words)))
    except (Wrong, Refused, OSError, psycopg2.Error) as error:
        print(json.dumps({"error": str(error).strip()}))


if __name__ == "__main__":
    main(sys.argv[1:])
