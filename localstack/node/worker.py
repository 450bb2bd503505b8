"""Runs the jobs of one site."""

import http.client
import json
import subprocess
import sys
import time
from urllib.parse import urlsplit

from web import end_when_asked

POLL = 0.05
JOB_WITHIN = 60
OUTPUT_LIMIT = 64 * 1024


def post(config, path, body):
    connection = http.client.HTTPConnection(urlsplit(config["service_url"]).netloc, timeout=2)
    try:
        headers = {"Authorization": f"Bearer {config['worker_token']}"}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        # A service that is away, fenced or standby only has no jobs.
        return None, b""
    finally:
        connection.close()


def run(argv):
    try:
        ended = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=JOB_WITHIN, check=False)
        return ended.returncode, ended.stdout[:OUTPUT_LIMIT].decode(errors="replace")
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)


def main(config):
    end_when_asked()
    while True:
        status, body = post(config, "/jobs/claim", {})
        if status != 200:
            time.sleep(POLL)
            continue
        job = json.loads(body)
        code, output = run(job["argv"])
        report = {"claim": job["claim"], "exit_code": code, "output": output}
        give_up = time.monotonic() + JOB_WITHIN
        while time.monotonic() < give_up:
            status, _ = post(config, f"/jobs/{job['id']}/finish", report)
            if status is not None and status < 500:
                break
            time.sleep(POLL)


if __name__ == "__main__":
    main(json.load(open(sys.argv[1], encoding="utf-8")))
