"""Our policies, as the daemon runs them: `scaler.policy` itself."""

from __future__ import annotations

from bench.autoscale.simulator import LIMITS
from bench.autoscale.view import View
from scaler.memory import Memory
from scaler.policy import decide
from scaler.rules import Rules

LEAST, MOST = LIMITS
RULES = Rules(min_workers=LEAST, max_workers=MOST)


class Ours:
    every_s = 2.0
    is_ours = True

    def __init__(self, rules: Rules = RULES) -> None:
        self._rules = rules
        self._memory = Memory()

    def size(self, view: View) -> int:
        if self._memory.size is None:
            self._memory = Memory(size=view.desired)
        assert view.reading is not None
        decision, self._memory = decide(self._rules, self._memory, view.reading, view.now)
        return view.desired if decision.holds else decision.size
