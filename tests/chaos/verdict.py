"""What became of the acknowledged jobs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Verdict:
    """Ids. All but `redelivered` and `blamed` are broken promises."""

    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    """Not ended within the bound, or without a trace."""

    duplicated: list[str] = field(default_factory=list)
    """With more than one record of completion, or more than one result."""

    contradicted: list[str] = field(default_factory=list)
    """Whose stream took something back, or does not say what the result says."""

    redelivered: list[str] = field(default_factory=list)
    """That took more than one attempt."""

    blamed: list[str] = field(default_factory=list)
    """Charged with the death of a worker."""

    @property
    def broken_promises(self) -> list[str]:
        broken = {
            "lost": self.lost,
            "duplicated": self.duplicated,
            "contradicted": self.contradicted,
        }
        return [f"{len(ids)} {word}: {', '.join(ids[:3])}" for word, ids in broken.items() if ids]
