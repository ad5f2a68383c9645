"""Scheduling for pytest-xdist: a worker gets whole units, so no program is compiled twice."""

from xdist.scheduler import LoadScopeScheduling

from tests.units import unit_of

__all__ = ["UnitScheduling"]


class UnitScheduling(LoadScopeScheduling):
    """Sends all tests of a unit to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
