"""A small HTTP server, and the tokens that its programs accept."""

import hashlib
import hmac
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Refused(Exception):
    """A request that is not done. 4xx and 503 say that it had no effect; 500, 502 and 504 do not."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class Answer:
    """What a request is answered."""

    def __init__(self, status, body=None, headers=None, text=None):
        self.status = status
        self.headers = headers or {}
        self.kind = "application/json" if text is None else "application/x-ndjson"
        self.body = (text if text is not None else "" if body is None else json.dumps(body)).encode()


class Request:
    """A request, read whole."""

    def __init__(self, method, target, headers, body):
        parts = urlsplit(target)
        self.method = method
        self.path = parts.path
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self.headers = headers
        self.body = body

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Refused(422, str(error)) from error

    def bearer(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if scheme == "Bearer" else None


def log(*words):
    print(*words, file=sys.stderr, flush=True)


def end_when_asked(first=None):
    """Ends when asked to, after `first`: the kernel gives the first process of a container no signal that it has no handler for."""

    def end(*_):
        try:
            if first:
                first()
        finally:
            os._exit(0)  # pylint: disable=protected-access

    signal.signal(signal.SIGTERM, end)


def serve(port, handle, at_end=None):
    """Answers requests with what `handle` makes of them, until it is asked to end."""
    end_when_asked(at_end)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else b""
            try:
                answer = handle(Request(self.command, self.path, self.headers, body))
            except Refused as refused:
                answer = Answer(refused.status, {"error": str(refused)})
            except Exception as error:  # pylint: disable=broad-except
                # Whatever it was, the request may have been done.
                log(f"{self.command} {self.path}: {error!r}")
                answer = Answer(500, {"error": str(error)})
            self.send(answer)

        def send(self, answer):
            self.send_response_only(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            # In one piece: a body in a packet of its own waits for the acknowledgement of the head.
            self._headers_buffer.append(b"\r\n" + answer.body)
            self.flush_headers()

        do_GET = do_PUT = do_POST = answer

        def log_message(self, *_):
            """Nobody reads a line for each request."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 512
        daemon_threads = True

        def handle_error(self, *_):
            """A client that went away is no news."""

    Server(("0.0.0.0", port), Handler).serve_forever()


def signed(secret, claim):
    return hmac.new(secret.encode(), claim.encode(), hashlib.sha256).hexdigest()


def issue(secret, name, lifetime_ms):
    """A token `<hex of the name>.<expiry in ms>.<MAC>`; any service with the secret accepts it."""
    claim = f"{name.encode().hex()}.{int(time.time() * 1000) + lifetime_ms}"
    return f"{claim}.{signed(secret, claim)}"


def require_login(request, secret):
    token = request.bearer()
    if token is None:
        raise Refused(401, "a bearer token is needed")
    claim, _, mac = token.rpartition(".")
    if not hmac.compare_digest(mac, signed(secret, claim)):
        raise Refused(401, "no token of ours")
    if int(claim.rpartition(".")[2]) <= time.time() * 1000:
        raise Refused(401, "the token has expired")


def require_worker(request, token):
    if not hmac.compare_digest(request.bearer() or "", token):
        raise Refused(401, "the worker token is needed")


def password_hash(password, salt, iterations):
    return hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(salt), iterations).hex()
