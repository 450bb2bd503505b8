"""Takes full backups of a site's database while that decides. The log between them the database archives by itself.

A backup is three files: `full-TIME.tar`, which pg_basebackup made, its `.manifest`, and last its description, `.json`.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from web import end_when_asked, log

BIN = Path("/usr/lib/postgresql/15/bin")
BACKUPS = Path("/backups")
# What the application only ever adds to: whoever changes it, removes from it or drops it is somebody else.
ADDED_TO = ("entries", "changes")
# Seconds between two looks at the clock, and at whether a database decides that did not.
POLL = 0.25
LOOK = 1.0
TAKEN_WITHIN = 60


def number_of(lsn):
    """A position of the log, in bytes."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(directory):
    handle = os.open(directory, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


class Agent:
    """The backups of one site."""

    def __init__(self, config):
        self.config = config
        self.interval = config["interval_ms"] / 1000
        # A password is none of the words of a program, which everybody can read.
        said = parse_dsn(config["database"])
        self.environment = {**os.environ, "PGPASSWORD": said.pop("password")}
        self.database = make_dsn(**said)
        for left in BACKUPS.glob(".new-*"):
            shutil.rmtree(left)

    def look(self):
        """Whether the database decides, and the files of what it only adds to."""
        connection = psycopg2.connect(f"{self.config['database']} dbname=store")
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_is_in_recovery()")
                decides = not cursor.fetchone()[0]
                cursor.execute("SELECT relname, pg_relation_filepath(oid) FROM pg_class WHERE relname = ANY(%s)", (list(ADDED_TO),))
                return decides, dict(cursor.fetchall())
        finally:
            connection.close()

    def turn(self):
        decides, files = self.look()
        if decides:
            self.take(files)
        return decides

    def take(self, files):
        began = time.time()
        name = f"full-{int(began * 1000):015}"
        new = BACKUPS / f".new-{name}"
        # What it needs of the log is archived when it is done.
        words = [BIN / "pg_basebackup", "-D", new, "-d", self.database, "-Ft", "-X", "none", "-c", "fast"]
        words = list(map(str, words))
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False, env=self.environment, timeout=TAKEN_WITHIN)
        except subprocess.TimeoutExpired as error:
            shutil.rmtree(new, ignore_errors=True)
            raise OSError(f"pg_basebackup has not ended after {TAKEN_WITHIN} s: is the log archived?") from error
        if done.returncode:
            shutil.rmtree(new, ignore_errors=True)
            raise OSError(f"pg_basebackup: {done.stderr.strip()[-600:]}")
        tar, manifest = new / "base.tar", new / "backup_manifest"
        [needed] = json.loads(manifest.read_text())["WAL-Ranges"]
        described = {
            "site": self.config["site"],
            "taken_at_ms": int(began * 1000),
            "duration_ms": int((time.time() - began) * 1000),
            "bytes": tar.stat().st_size,
            "sha256": digest(tar),
            "manifest_sha256": digest(manifest),
            "timeline": needed["Timeline"],
            "start": needed["Start-LSN"],
            "end": needed["End-LSN"],
            "position": number_of(needed["End-LSN"]),
            "added_to": files,
        }
        description = new / "description"
        with open(description, "w", encoding="utf-8") as file:
            json.dump(described, file)
            file.flush()
            os.fsync(file.fileno())
        for part, ending in ((tar, "tar"), (manifest, "manifest"), (description, "json")):
            part.rename(BACKUPS / f"{name}.{ending}")
        sync(BACKUPS)
        new.rmdir()
        self.prune()

    def prune(self):
        """All but the newest, and the log that none of those needs."""
        found = sorted(BACKUPS.glob("full-*.json"))
        old, kept = found[: -self.config["keep"]], found[-self.config["keep"] :]
        for description in old:
            for ending in (".json", ".tar", ".manifest"):
                description.with_suffix(ending).unlink(missing_ok=True)
        if old:
            first = json.loads(kept[0].read_text())
            start = number_of(first["start"])
            segment = f"{first['timeline']:08X}{start >> 32:08X}{(start & 0xFFFFFFFF) >> 20:08X}"
            subprocess.run([BIN / "pg_archivecleanup", BACKUPS / "wal", segment], check=False)

    def work(self):
        said = ""
        due = 0.0
        while True:
            if time.monotonic() >= due:
                try:
                    due = time.monotonic() + (self.interval if self.turn() else LOOK)
                    said = ""
                except (OSError, ValueError, psycopg2.Error) as error:
                    if str(error) != said:
                        said = str(error)
                        log(f"backup: {said}")
            time.sleep(POLL)


if __name__ == "__main__":
    end_when_asked()
    Agent(json.load(open(sys.argv[1], encoding="utf-8"))).work()
