"""Logins of one site: checks passwords against the site's database and issues tokens."""

import hmac
import json
import sys

from service import Database
from web import Answer, Refused, issue, password_hash, serve


def main(config):
    database = Database(config["database"])

    def user(name):
        return database.ask("SELECT salt, iterations, hash FROM users WHERE name = %s", (name,))

    def handle(request):
        if (request.method, request.path) == ("GET", "/health"):
            user("")
            return Answer(200)
        if (request.method, request.path) != ("POST", "/login"):
            raise Refused(404, "no such page")
        login = request.json()
        for salt, iterations, expected in user(login["user"]):
            if hmac.compare_digest(password_hash(login["password"], salt, iterations), expected):
                token = issue(config["token_secret"], login["user"], config["token_lifetime_ms"])
                return Answer(200, {"token": token})
        raise Refused(401, "no such user, or not their password")

    serve(config["port"], handle)


if __name__ == "__main__":
    main(json.load(open(sys.argv[1], encoding="utf-8")))
