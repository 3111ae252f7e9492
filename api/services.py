"""What the handlers of one process share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:  # for the types alone: some of these ask for services themselves
    from api.admission import Admission
    from api.cors import Cors
    from api.follower import Follower
    from api.http_metrics import HttpMetrics
    from api.intake import Intake
    from api.waiters import Waiters
    from headrace.core.api_key_store import ApiKeyStore
    from headrace.core.card_store import CardStore
    from headrace.core.jobs.dead_letters import DeadLetters
    from headrace.core.jobs.pace import PaceMeter
    from headrace.core.jobs.queue import JobQueue
    from headrace.core.roster import Roster
    from headrace.core.settings import Settings
    from headrace.core.trusted_hosts import TrustedHosts

KEY = "headrace"


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    api_keys: ApiKeyStore
    queue: JobQueue
    dead_letters: DeadLetters
    cards: CardStore
    roster: Roster
    intake: Intake
    admission: Admission
    pace: PaceMeter
    waiters: Waiters
    follower: Follower
    metrics: HttpMetrics
    cors: Cors
    trusted_hosts: TrustedHosts


def services() -> Services:
    """Those of the app that handles the current request."""
    return cast("Services", current_app.extensions[KEY])
