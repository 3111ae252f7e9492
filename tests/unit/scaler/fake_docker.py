"""A machine with containers of one project, which obeys the commands of Docker and Compose."""

from __future__ import annotations

from headrace.core.errors import Unavailable

OTHERS = ("redis", "api")


class FakeDocker:
    """Containers as `docker-compose` 1.29 makes them: a new one is above all that there are."""

    def __init__(self, *numbers: int, has_plugin: bool = True) -> None:
        self.states = dict.fromkeys(numbers, "running")
        self.has_plugin = has_plugin
        self.trouble = ""
        self.is_down = False
        self.commands: list[str] = []
        """All but those that only look."""

    def run(self, *command: str) -> str:
        if command == ("docker", "compose", "version"):
            return self._answer_version()
        if self.trouble:
            raise Unavailable(self.trouble)
        if command[:2] == ("docker", "ps"):
            return self._list()
        self.commands.append(" ".join(command))
        if "up" in command:
            self._up(int(command[-2].removeprefix("worker=")))
        elif command[1] == "rm":
            for host in command[2:]:
                del self.states[int(host, 16)]
        return ""

    def _answer_version(self) -> str:
        if not self.has_plugin:
            raise Unavailable("unknown command: docker compose")
        return "v2"

    def _list(self) -> str:
        """In the order of Docker, the newest first."""
        workers = [
            f"{host(number)}\tworker\t{number}\t{state}"
            for number, state in reversed(self.states.items())
        ]
        others = [f"{host(250)}\t{service}\t1\trunning" for service in OTHERS]
        return "\n".join([] if self.is_down else [*others, *workers])

    def _up(self, size: int) -> None:
        assert size >= len(self.states), "Compose would choose whom it stops"
        for number in self.states:
            self.states[number] = "running"
        while len(self.states) < size:
            self.states[max(self.states, default=0) + 1] = "running"


def host(number: int) -> str:
    """Of a container by its number: what Docker shows of its id."""
    return f"{number:012x}"


def worker(number: int, start: str = "a1b2c3") -> str:
    """The name of the worker in a container, other at each start."""
    return f"worker-{host(number)}-{start}"
