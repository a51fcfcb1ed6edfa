"""The shop as a process of its own, as a newcomer starts it: served, killed, and started again."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.shops import STAFF

START_S = 60.0


class Served:
    """`hansa demo` on a folder and a free port."""

    def __init__(self, folder: Path, *, command: str = "demo", database: str = "sqlite:") -> None:
        self.folder = folder
        self.port = free_port()
        self.command = command
        self.environment = {
            **os.environ,
            "HANSA_PORT": str(self.port),
            "HANSA_DATA": str(folder),
            "HANSA_DATABASE": database,
            "HANSA_STAFF_EMAIL": STAFF[0],
            "HANSA_STAFF_PASSWORD": STAFF[1],
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.output = folder.parent / f"{folder.name}.out"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> float:
        """Start it and return after how many seconds it answered."""
        began = time.monotonic()
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hansa.cli", self.command],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        while time.monotonic() - began < START_S:
            if self.process.poll() is not None:
                raise AssertionError(f"hansa ended with {self.process.returncode}: {self.said()}")
            try:
                with urllib.request.urlopen(f"{self.address}/readyz", timeout=1):
                    return time.monotonic() - began
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pause()
        raise AssertionError(f"hansa did not answer within {START_S} s: {self.said()}")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As Ctrl-C does; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another `hansa` command on the same folder."""
        command = [sys.executable, "-m", "hansa.cli", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=300)

    def said(self) -> str:
        return self.output.read_text(errors="replace")[-4000:] if self.output.exists() else ""

    def get(self, path: str, token: str = "", *, locale: str = "en") -> Any:
        headers = {"Accept-Language": locale}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(f"{self.address}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.loads(response.read())

    def post(self, path: str, body: Any, *, key: str = "", token: str = "") -> tuple[int, Any]:
        return self.send("POST", path, body, key=key, token=token)

    def send(self, verb: str, path: str, body: Any, *, key: str = "", token: str = "") -> tuple[int, Any]:
        """Status and answer of a command."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key or os.urandom(8).hex()}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(f"{self.address}{path}", json.dumps(body).encode(), headers, method=verb)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def staff(self) -> str:
        status, session = self.post("/api/v1/sessions", {"email": STAFF[0], "password": STAFF[1]})
        assert status == 201, session
        token: str = session["token"]
        return token


def pause(seconds: float = 0.05) -> None:
    """Wait for another process, which no injected clock can hurry."""
    time.sleep(seconds)
