"""An inbox: nothing is lost between two looks, and nothing grows without bound."""

from __future__ import annotations

from api.inbox import MOST_KEPT, Inbox
from headrace.core.events import TokenEvent


def event(count: int) -> TokenEvent:
    return TokenEvent(f"{count}-0", (count,), "x")


def test_what_came_is_taken_once_in_its_order() -> None:
    inbox = Inbox(["a"])
    inbox.put(("a", event(1)))
    inbox.put(("a", event(2)))

    assert inbox.wait(0)
    assert inbox.take() == [("a", event(1)), ("a", event(2))]
    assert not inbox.wait(0)
    assert inbox.take() == []


def test_whoever_does_not_look_for_long_has_to_look_at_every_job() -> None:
    inbox = Inbox(["a", "b"])
    for count in range(1, MOST_KEPT + 2):
        inbox.put(("a", event(count)))
    inbox.put(("a", event(MOST_KEPT + 2)))

    assert inbox.take() == [("a", None), ("b", None), ("a", event(MOST_KEPT + 2))]
