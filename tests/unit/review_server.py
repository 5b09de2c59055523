"""`columna review` as a process, and a client that speaks to it as plainly as an attacker would."""

import http.client
import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from columna.review.decisions import read_decisions

COMMAND = [sys.executable, "-c", "from columna.cli import run; run()", "review"]


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen
    address: str
    file: Path
    cookie: str = ""

    @property
    def port(self):
        return urlsplit(self.address).port

    @property
    def root(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path, method="GET", body=None, host=None, **headers):
        """Status, headers and body; the path goes out as it is, with the cookie unless given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        headers = {"Host": host or f"127.0.0.1:{self.port}", "Cookie": self.cookie} | headers
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    def enter(self):
        """Come in by the printed address; the answer's headers."""
        status, headers, _ = self.get(self.address.removeprefix(self.root))
        assert status == 200
        self.cookie = headers["Set-Cookie"].partition(";")[0]
        return headers

    def post(self, scan, decision, **headers):
        return self.get(f"/review/scan/{scan}/decisions", "POST", decision, **headers)

    def decisions(self):
        return read_decisions(self.file) if self.file.exists() else []


@contextmanager
def served(results, file, *options, rater="ada"):
    """Start a server over the folder `results`; it is killed in the end."""
    command = [*COMMAND, str(results), "--corrections", str(file), "--rater", rater]
    process = subprocess.Popen(
        [*command, "--no-browser", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=file.parent,
    )
    try:
        told = []
        for line in process.stdout:
            told.append(line)
            if "http://" in line:
                break
        assert "http://" in told[-1], "".join(told)
        server = Served(process, "http://" + told[-1].partition("http://")[2].strip(), file)
        server.enter()
        yield server
    finally:
        process.kill()
        process.communicate()


def refusal(*options):
    """What the command says when it does not start."""
    done = subprocess.run(
        [*COMMAND, *options, "--no-browser"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stderr
