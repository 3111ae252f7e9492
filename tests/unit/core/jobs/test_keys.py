from __future__ import annotations

import pytest

from headrace.core.jobs.keys import QUEUE_NAMES, priority_of
from headrace.core.types import Priority


@pytest.mark.parametrize("priority", Priority)
def test_a_queue_has_the_priority_that_it_is_named_for(priority: Priority) -> None:
    assert priority_of(QUEUE_NAMES[priority]) is priority


def test_a_queue_of_somebody_else_has_no_priority() -> None:
    with pytest.raises(ValueError, match="'other'"):
        priority_of("other")
