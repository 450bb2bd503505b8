"""The application: entries, logins and jobs of one site, kept in the site's database.

What a standby is brought it sends on to the leader; only the leader acknowledges.
"""

import http.client
import json
import re
import secrets
import sys
import threading
import time
from queue import Empty, LifoQueue
from urllib.parse import urlsplit

import psycopg2

from web import Answer, Refused, log, require_login, require_worker, serve

# Nothing is waited for longer than this before a client is told that nobody knows.
COMMITTED_WITHIN = 1.0
HEALTHY_WITHIN = 0.35
CONNECTED_WITHIN = 1
FORWARDED = "x-drdrill-forwarded"
DECIDER = ("x-drdrill-site", "x-drdrill-epoch")
# What the server says of a commit that it gave up waiting for: it is kept here, and maybe nowhere else.
NOT_EVERYWHERE = "synchronous replication"
# Of one kind, by one program: the server has 80 for all of them.
CONNECTIONS = 16
LEASE = "30 seconds"
QUEUE_STALL = 5.0


class Database:
    """Connections to the site's database, each used by one request at a time, and ended when they take too long."""

    def __init__(self, dsn):
        self.dsn = dsn
        self.idle = LifoQueue()
        self.free = threading.Semaphore(CONNECTIONS)
        self.at_work = {}
        # Those whose statement is being cancelled: the cancel may come late, and must not strike the next statement.
        self.cancelled = set()
        self.lock = threading.Lock()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while True:
            time.sleep(0.02)
            now = time.monotonic()
            with self.lock:
                late = [one for one, until in self.at_work.items() if until <= now and one not in self.cancelled]
                self.cancelled.update(late)
            for one in late:
                # A server that stands still does not take it, and others are not to wait for that.
                threading.Thread(target=self.cancel, args=(one,), daemon=True).start()

    @staticmethod
    def cancel(connection):
        try:
            connection.cancel()
        except psycopg2.Error as error:
            log(f"cancel: {error}")

    def connect(self):
        try:
            connection = psycopg2.connect(self.dsn, connect_timeout=CONNECTED_WITHIN)
        except psycopg2.OperationalError as error:
            # Nothing was asked yet.
            raise Refused(503, f"the database: {error}".strip()) from error
        connection.autocommit = True
        return connection

    def taken(self):
        while True:
            try:
                connection = self.idle.get_nowait()
            except Empty:
                return self.connect()
            if not connection.closed and self.still_there(connection):
                return connection

    @staticmethod
    def still_there(connection):
        """Whether the server has not closed it: what is asked on one that is dead would be of unknown outcome."""
        import select  # pylint: disable=import-outside-toplevel

        readable, _, _ = select.select([connection], [], [], 0)
        if not readable:
            return True
        connection.close()
        return False

    def ask(self, sql, values=(), within=COMMITTED_WITHIN):
        """Runs one statement in a transaction of its own; returns its rows."""
        if not self.free.acquire(timeout=within):
            raise Refused(503, f"no connection to the database is free after {within} s")
        try:
            return self.ask_on(self.taken(), sql, values, within)
        finally:
            self.free.release()

    def ask_on(self, connection, sql, values, within):
        del connection.notices[:]
        with self.lock:
            self.at_work[connection] = time.monotonic() + within
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                rows = cursor.fetchall() if cursor.description else []
            # Before anybody else has the connection.
            everywhere = not any(NOT_EVERYWHERE in notice for notice in connection.notices)
        except psycopg2.errors.ReadOnlySqlTransaction as error:
            raise Standby() from error
        except psycopg2.Error as error:
            raise self.refusal(error) from error
        finally:
            self.give_back(connection)
        if not everywhere:
            raise Refused(504, "written here, but not known to be on the standby")
        return rows

    def give_back(self, connection):
        with self.lock:
            self.at_work.pop(connection, None)
            cancelled = connection in self.cancelled
            self.cancelled.discard(connection)
        if cancelled:
            connection.close()
        elif not connection.closed:
            self.idle.put(connection)

    @staticmethod
    def refusal(error):
        code = error.pgcode
        reason = str(error).strip()
        if code == "DR001":
            return Refused(503, "fenced")
        if code == "DR002":
            return Refused(409, reason)
        # An ERROR is of a transaction that was rolled back. What ends the session (FATAL) or the server (PANIC) may have
        # come after the commit.
        if code is not None and error.diag.severity_nonlocalized == "ERROR":
            return Refused(503, reason)
        return Refused(500, reason)


class Standby(Exception):
    """The site's database follows another one."""


class Service:
    """One site."""

    def __init__(self, config):
        self.config = config
        self.site = config["site"]
        # Who reads needs no right to write, which a fence takes away.
        self.reads = Database(config["reads"])
        self.writes = Database(config["writes"])

    def handle(self, request):
        method, path = request.method, request.path
        for wanted, pattern, handler in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and wanted == method:
                return handler(self, request, *found.groups())
        raise Refused(404, "no such page")

    def put(self, request, name):
        self.login(request)
        body = request.json()
        if not all(key in body for key in ("sequence", "value", "checksum")):
            raise Refused(422, "an entry has sequence, value and checksum")
        self.think()
        values = (name, body["sequence"], body["value"], body["checksum"])
        try:
            sql = "SELECT created, lsn, epoch, decided_in FROM put_entry(%s, %s, %s, %s)"
            [(created, lsn, epoch, decided_in)] = self.writes.ask(sql, values)
        except Standby:
            return self.to_leader(request)
        return Answer(201 if created else 200, {"lsn": lsn, "epoch": epoch}, self.decider(decided_in))

    def get(self, request, name):
        self.login(request)
        self.think()
        sql = "SELECT id, sequence, value, checksum, lsn, epoch FROM entries WHERE id = %s"
        rows = self.reads.ask(sql, (name,))
        if not rows:
            raise Refused(404, "no such entry")
        names = ("id", "sequence", "value", "checksum", "lsn", "epoch")
        return Answer(200, dict(zip(names, rows[0])))

    def audit(self, request):
        """What is stored, row by row, checked again; not what was once acknowledged."""
        self.login(request)
        sql = """SELECT id, sequence, length(value), encode(sha256(convert_to(value, 'UTF8')), 'hex') = lower(checksum),
                        count(*) OVER (PARTITION BY id)
                 FROM entries WHERE starts_with(id, %s) ORDER BY id"""
        rows = self.reads.ask(sql, (request.query.get("prefix", ""),), within=60)
        names = ("id", "sequence", "value_bytes", "checksum_ok", "copies")
        lines = [json.dumps(dict(zip(names, row))) + "\n" for row in rows]
        return Answer(200, text="".join(lines))

    def decided(self, request, sql, values):
        """What only the one that decides may answer: its row, or the leader's answer."""
        self.login(request)
        self.think()
        try:
            [row] = self.writes.ask(sql, values)
        except Standby:
            return None, self.to_leader(request)
        return row, None

    def decider(self, epoch):
        return dict(zip(DECIDER, (self.site, str(epoch))))

    def put_register(self, request, key):
        value = request.json()["value"]
        row, passed = self.decided(request, "SELECT put_register(%s, %s)", (key, value))
        return passed or Answer(200, {"epoch": row[0]}, self.decider(row[0]))

    def get_register(self, request, key):
        row, passed = self.decided(request, "SELECT epoch, value FROM get_register(%s)", (key,))
        return passed or Answer(200, {"value": row[1]}, self.decider(row[0]))

    def balances(self, request):
        row, passed = self.decided(request, "SELECT epoch, balances FROM get_accounts()", ())
        return passed or Answer(200, {"balances": row[1] or {}}, self.decider(row[0]))

    def posted(self, request, sql, values):
        row, passed = self.decided(request, sql, values)
        return passed or Answer(201 if row[1] else 200, {"epoch": row[0]}, self.decider(row[0]))

    def open_accounts(self, request):
        values = (json.dumps(request.json()["balances"]),)
        return self.posted(request, "SELECT epoch, created FROM open_accounts(%s)", values)

    def transfer(self, request):
        body = request.json()
        if body["amount"] <= 0 or body["from"] == body["to"]:
            raise Refused(422, "a transfer moves a positive amount between two accounts")
        values = (body["id"], body["from"], body["to"], body["amount"])
        return self.posted(request, "SELECT epoch, created FROM transfer(%s, %s, %s, %s)", values)

    def log_in(self, request):
        return self.sent_on(self.config["auth_url"], request, {}, COMMITTED_WITHIN)

    def submit(self, request):
        self.login(request)
        argv = request.json().get("argv")
        if not argv or not argv[0]:
            raise Refused(422, "argv names no program")
        name = f"job-{secrets.token_hex(8)}"
        try:
            self.writes.ask("SELECT submit_job(%s, %s)", (name, json.dumps(argv)))
        except Standby:
            return self.to_leader(request)
        return Answer(201, {"id": name})

    def job(self, request, name):
        self.login(request)
        sql = "SELECT id, argv, state, claim, exit_code, output FROM jobs WHERE id = %s"
        rows = self.reads.ask(sql, (name,))
        if not rows:
            raise Refused(404, "no such job")
        return Answer(200, dict(zip(("id", "argv", "state", "claim", "exit_code", "output"), rows[0])))

    def claim(self, request):
        require_worker(request, self.config["worker_token"])
        try:
            rows = self.writes.ask("SELECT id, argv, claim FROM claim_job(%s)", (LEASE,))
        except Standby:
            return Answer(204)
        return Answer(200, dict(zip(("id", "argv", "claim"), rows[0]))) if rows else Answer(204)

    def finish(self, request, name):
        require_worker(request, self.config["worker_token"])
        body = request.json()
        sql = "SELECT id FROM finish_job(%s, %s, %s, %s)"
        values = (name, body["claim"], body["exit_code"], body["output"])
        try:
            rows = self.writes.ask(sql, values)
        except Standby as error:
            raise Refused(503, "not primary") from error
        if not rows:
            raise Refused(409, f"{name} was claimed again")
        return Answer(200, {"id": name})

    def health(self, _):
        parts = {
            "database": self.check(self.check_database),
            "queue": self.check(self.check_queue),
            "login": self.check(self.check_login),
        }
        healthy = all(word == "ok" for word in parts.values())
        return Answer(200 if healthy else 503, {"site": self.site, **parts})

    @staticmethod
    def check(look):
        try:
            look()
            return "ok"
        except Exception as error:  # pylint: disable=broad-except
            return str(error) or repr(error)

    def check_database(self):
        """A write as a client's; a standby can only read, and so can one that is fenced."""
        try:
            self.writes.ask("SELECT beat(1)", within=HEALTHY_WITHIN)
            return
        except Standby:
            pass
        except Refused:
            if not self.told().get("fenced"):
                raise
        self.reads.ask("SELECT at FROM health", within=HEALTHY_WITHIN)

    def check_queue(self):
        """Jobs wait on a standby until it is promoted, so only a primary's queue can stall."""
        sql = """SELECT extract(epoch FROM clock_timestamp() - min(submitted_at)) FROM jobs
                 WHERE state = 'queued' AND NOT pg_is_in_recovery()"""
        [(waited,)] = self.reads.ask(sql, within=HEALTHY_WITHIN)
        if waited is not None and waited >= QUEUE_STALL:
            raise Refused(503, f"stalled: a job has waited {waited:.1f} s")

    def check_login(self):
        answer = self.call(self.config["auth_url"], "GET", "/health", b"", {}, HEALTHY_WITHIN)
        if answer.status != 200:
            raise Refused(503, f"answered {answer.status}")

    def login(self, request):
        require_login(request, self.config["token_secret"])

    def think(self):
        time.sleep(self.config["timing"]["think_time_ms"] / 1000)

    def told(self):
        """What the operators have told this site."""
        try:
            answer = self.call(self.config["admin_url"], "GET", "/leader", b"", {}, HEALTHY_WITHIN)
            return json.loads(answer.body)
        except (Refused, ValueError) as error:
            raise Refused(503, f"what this site was told is not known: {error}") from error

    def to_leader(self, request):
        if FORWARDED in request.headers:
            raise Refused(503, "not primary")
        leader = self.told().get("leader_url")
        if not leader:
            raise Refused(503, "not primary")
        return self.sent_on(leader, request, {FORWARDED: self.site}, COMMITTED_WITHIN * 2)

    def sent_on(self, base, request, headers, within):
        headers = {**headers, "Content-Type": "application/json"}
        if "Authorization" in request.headers:
            headers["Authorization"] = request.headers["Authorization"]
        return self.call(base, request.method, request.path, request.body, headers, within)

    @staticmethod
    def call(base, method, path, body, headers, within):
        """Another program's answer is the answer; without one, what is known of it."""
        connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=within)
        try:
            try:
                connection.connect()
            except OSError as error:
                raise Refused(503, f"{base}: {error}") from error
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                passed = Answer(answer.status)
                passed.body = answer.read()
            except TimeoutError as error:
                raise Refused(504, f"{base}: {error}") from error
            except (OSError, http.client.HTTPException) as error:
                raise Refused(502, f"{base}: {error!r}") from error
            passed.headers = {name: answer.headers[name] for name in DECIDER if name in answer.headers}
            return passed
        finally:
            connection.close()


NAME = r"([A-Za-z0-9_.:-]+)"
ROUTES = [
    ("GET", "/health", Service.health),
    ("POST", "/login", Service.log_in),
    ("GET", "/entries", Service.audit),
    ("PUT", f"/entries/{NAME}", Service.put),
    ("GET", f"/entries/{NAME}", Service.get),
    ("PUT", f"/registers/{NAME}", Service.put_register),
    ("GET", f"/registers/{NAME}", Service.get_register),
    ("POST", "/accounts", Service.open_accounts),
    ("GET", "/accounts", Service.balances),
    ("POST", "/transfers", Service.transfer),
    ("POST", "/jobs", Service.submit),
    ("POST", "/jobs/claim", Service.claim),
    ("GET", f"/jobs/{NAME}", Service.job),
    ("POST", f"/jobs/{NAME}/finish", Service.finish),
]


def main(config):
    serve(config["port"], Service(config).handle)


if __name__ == "__main__":
    main(json.load(open(sys.argv[1], encoding="utf-8")))
