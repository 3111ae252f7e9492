"""Our policies, as the daemon runs them: `scaler.policy` itself."""

from __future__ import annotations

from headrace.planning.view import View
from scaler.decision import Decision
from scaler.memory import Memory
from scaler.policy import decide
from scaler.rules import Rules


class PolicyScaler:
    """`last` is its newest decision."""

    is_ours = True

    def __init__(self, rules: Rules, every_s: float = 2.0) -> None:
        self.every_s = every_s
        self.last: Decision | None = None
        self._rules = rules
        self._memory = Memory()

    def size(self, view: View) -> int:
        if self._memory.size is None:
            self._memory = Memory(size=view.desired)
        if view.reading is None:
            raise TypeError("a policy of ours needs a view with a reading")
        self.last, self._memory = decide(self._rules, self._memory, view.reading, view.now)
        return view.desired if self.last.holds else self.last.size
