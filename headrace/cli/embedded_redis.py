"""The Redis that `headrace up` runs itself: on a socket of the state folder, durable by its AOF."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from headrace.cli.data_folder import note_writer, writers_of
from headrace.cli.log_damage import find_damage
from headrace.cli.redis_binary import RedisBinary, find_redis_binary
from headrace.cli.state_folder import make_private
from headrace.core.clock import Clock
from headrace.core.errors import SettingsError, StateFolderBusy

SOCKET_PATH_BYTES = 103 if sys.platform == "darwin" else 107
"""The longest path that the kernel takes for a socket."""

EARLIER_SERVER_S = 10.0
"""How long the server of a supervisor that was killed may take to write its data and end."""


ADVICE = re.compile(r"[:.] (You can: 1\) )?[Mm]ake a backup of your .*check-(aof|rdb).*")
"""What the server tells people to do with a file that it cannot read."""


@dataclass(frozen=True)
class EmbeddedRedis:
    """Where one server is, and how it is started."""

    binary: RedisBinary
    folder: Path
    socket_path: Path

    @property
    def url(self) -> str:
        return f"unix://{quote(str(self.socket_path))}"

    @property
    def log_path(self) -> Path:
        return self.folder / "server.log"

    def command(self) -> list[str]:
        """Makes the socket's folder anew where somebody cleaned it away, as temp folders are."""
        self.socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "pidfile": str(self._pid_path),
            "logfile": str(self.log_path),
            "appendonly": "yes",
            "appendfsync": "everysec",
            # The AOF is the truth; a second copy on a timer only costs a fork.
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [str(self.binary.path), *flags]

    def wait_for_earlier_server(self, clock: Clock) -> None:
        """Raises `StateFolderBusy` when one still listens after `EARLIER_SERVER_S`."""
        deadline = clock.now() + EARLIER_SERVER_S
        while self._is_listening():
            if clock.now() >= deadline:
                pid = self._earlier_pid()
                raise StateFolderBusy(
                    f"a Redis server of an earlier run (pid {pid}) still listens "
                    f"on {self.socket_path}; stop it with `kill -INT {pid}`, or take another "
                    "folder with --state-dir"
                )
            clock.sleep(0.1)

    def note_start(self) -> None:
        """Remembers the server in its folder: an older one may not be able to read it."""
        note_writer(self.folder, self.binary.version)

    def why_it_ended(self) -> str:
        """What is known of a server that ended at its start."""
        if damage := find_damage(self.folder):
            return f"{damage}, as after a power loss; `headrace repair` cuts them off, after a copy"
        return f"the end of {self.log_path}:\n{self.last_log_lines()}"

    def last_log_lines(self, count: int = 5) -> str:
        """Without the server's advice to use a tool that is not shipped, and that destroys data."""
        try:
            lines = self.log_path.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(f"  {ADVICE.sub('', line)}" for line in lines[-count:])

    @property
    def _pid_path(self) -> Path:
        return self.folder / "server.pid"

    def _is_listening(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self.socket_path))
            except OSError:
                return False
        return True

    def _earlier_pid(self) -> str:
        try:
            return self._pid_path.read_text().strip()
        except OSError:
            return "unknown"


def prepare_embedded_redis(state_dir: Path) -> EmbeddedRedis:
    """Finds a server and makes its folder. Raises `Unavailable` or `SettingsError`."""
    folder = make_private(state_dir / "redis")
    return EmbeddedRedis(find_redis_binary(writers_of(folder)), folder, socket_path_of(folder))


def socket_path_of(folder: Path) -> Path:
    """In the folder where that path is short enough, else in a private one among temporary files.

    Raises `SettingsError` when that one is not ours alone, cannot be made, or is too long as well.
    """
    beside_data = folder / "redis.sock"
    if _fits(beside_data):
        return beside_data
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    elsewhere = _temporary_folder() / f"headrace-{os.getuid()}" / f"{digest}.sock"
    if not _fits(elsewhere):
        raise SettingsError(
            f"HEADRACE_STATE_DIR: {folder} is too long for a socket, and TMPDIR as well"
        )
    _make_ours(elsewhere.parent)
    return elsewhere


def _temporary_folder() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        raise SettingsError("TMPDIR: no folder for temporary files can be written to") from error


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES


def _make_ours(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        # Others may write to the parent: a folder or link that they planted is not to be trusted.
        found = folder.lstat()
    except OSError as error:
        raise SettingsError(f"TMPDIR: cannot use {folder}: {error.strerror}") from error
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SettingsError(f"{folder} is not a folder that only this user may enter; remove it")
