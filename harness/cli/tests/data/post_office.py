"""A mail server and an HTTPS server that keep what they get: DIRECTORY CERTIFICATE KEY.

Mails go to DIRECTORY/mails, as one file each; requests go to DIRECTORY/requests.jsonl, a line each. Prints both ports.
"""

import asyncio
import http.server
import json
import pathlib
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult

directory, certificate, key = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
(directory / "mails").mkdir()


class Keep:
    number = 0

    async def handle_DATA(self, server, session, envelope):
        Keep.number += 1
        path = directory / "mails" / f"{Keep.number}"
        lines = ["X-To: " + to + "\r\n" for to in envelope.rcpt_tos]
        path.with_suffix(".part").write_bytes("".join(lines).encode() + envelope.content)
        path.with_suffix(".part").rename(path)
        return "250 OK"


def known(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"drdrill", b"open sesame, please")
    # Not handled: the server tells the client itself.
    return AuthResult(success=good, handled=False)


tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(certificate, key)
class Requests(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        line = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": json.loads(body),
        }
        with open(directory / "requests.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")
        answer = b'{"id": "maintenance1"}'
        self.send_response(201)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PATCH = answer

    def log_message(self, *_):
        pass


web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Requests)
web.socket = tls.wrap_socket(web.socket, server_side=True)
threading.Thread(target=web.serve_forever, daemon=True).start()


def mail():
    return SMTP(
        Keep(), tls_context=tls, require_starttls=True, authenticator=known, auth_required=True
    )


async def serve():
    server = await asyncio.get_running_loop().create_server(mail, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], web.server_address[1], flush=True)
    # Until whoever started this is gone.
    await asyncio.to_thread(sys.stdin.read)


asyncio.run(serve())
