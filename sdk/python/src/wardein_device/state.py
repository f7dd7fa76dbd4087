"""What a device remembers (SPEC sections 2, 3 and 9), and its form in a file: JSON, of which all is secret."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from . import names
from .errors import DeviceError, Exhausted, StateError
from .keys import MAX_NUMBER, PROOF, PURPOSES, Schedule, number_key, purpose_root
from .primitives import MAX_U64
from .suite import check_suite
from .text import from_text, to_text
from .tree import LAST_EPOCH, Tree

FORMAT: Final = "wardein-device-1"
# A frontier has at most 32 nodes, and there are four.
MAX_LENGTH: Final = 64 << 10


@dataclass(slots=True)
class Branch:
    """One purpose: its frontier, and the next number. Both move forward only."""

    tree: Tree
    number: int = 0
    # How many numbers were taken in the frontier's first epoch; for `proof`, how many acks came in it.
    taken: int = 0

    def take(self) -> int:
        """The next number, up to the last that there is (section 5)."""
        if self.number > MAX_NUMBER:
            raise Exhausted("no number is left in this generation")
        self.number += 1
        return self.number - 1

    def move_to(self, epoch: int) -> None:
        if epoch > self.tree.first:
            self.tree.advance(epoch)
            self.taken = 0

    def take_key(self, schedule: Schedule, time: int) -> tuple[int, int, bytes]:
        """Epoch, number and key of what is used up by taking it: a token, a payload, a file (section 3.1)."""
        epoch = max(self.tree.first, schedule.due(time))
        if epoch == self.tree.first and schedule.is_spent(self.taken):
            if epoch == LAST_EPOCH:
                raise Exhausted("no epoch is left in this generation")
            epoch += 1
        number = self.take()
        self.move_to(epoch)
        self.taken += 1
        return epoch, number, number_key(self.tree.epoch_secret(epoch), number)


def branches_of(generation_root: bytes, purposes: Iterable[str]) -> dict[str, Branch]:
    """The trees of a new generation."""
    return {purpose: Branch(Tree.of(purpose_root(generation_root, purpose))) for purpose in purposes}


@dataclass(slots=True)
class State:
    """All of it. Two copies in use are a clone, and the authority finds out (section 5)."""

    tenant: str
    device_id: str
    suite: int
    generation: int
    schedule: Schedule
    # The last server_time that an ack authenticated; Unix seconds.
    known_time: int
    # Kept until the first ack (section 4).
    confirmation: bytes | None
    # Whether a proof of this generation was acknowledged.
    is_proven: bool
    branches: dict[str, Branch]

    def encode(self) -> bytes:
        confirmation = None if self.confirmation is None else to_text(self.confirmation)
        branches = {
            purpose: {"frontier": to_text(branch.tree.encode()), "number": branch.number, "taken": branch.taken}
            for purpose, branch in sorted(self.branches.items())
        }
        schedule = self.schedule
        fields = {
            "format": FORMAT,
            "tenant": self.tenant,
            "device_id": self.device_id,
            "suite": self.suite,
            "generation": self.generation,
            "schedule": {
                "period": schedule.period,
                "max_uses": schedule.max_uses,
                "not_before": schedule.not_before,
            },
            "known_time": self.known_time,
            "confirmation": confirmation,
            "proven": self.is_proven,
            "purposes": branches,
        }
        return json.dumps(fields, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> "State":
        """Takes what `encode` gives, to the byte. No error says what it found: all of it is secret."""
        try:
            state = _of(json.loads(data))
            if state.encode() == data:
                return state
        except (DeviceError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        raise StateError(f"the state is damaged, or not of the format {FORMAT}")


def _of(fields: Any) -> State:
    schedule, confirmation = fields["schedule"], fields["confirmation"]
    state = State(
        tenant=names.tenant(fields["tenant"]),
        device_id=names.device_id(fields["device_id"]),
        suite=check_suite(_number(fields["suite"])),
        generation=_number(fields["generation"], least=1),
        schedule=Schedule(*(_number(schedule[name]) for name in ("period", "max_uses", "not_before"))),
        known_time=_number(fields["known_time"]),
        confirmation=None if confirmation is None else from_text(confirmation),
        is_proven=fields["proven"] is True,
        branches={purpose: _branch(branch) for purpose, branch in fields["purposes"].items()},
    )
    if PROOF not in state.branches or not set(state.branches) <= set(PURPOSES):
        raise ValueError
    if len(state.confirmation or bytes(32)) != 32:
        raise ValueError
    return state


def _branch(fields: Any) -> Branch:
    tree = Tree.decode(from_text(fields["frontier"]))
    if tree.last != LAST_EPOCH:
        raise ValueError
    # One beyond the last: none is left.
    return Branch(tree, _number(fields["number"], most=MAX_NUMBER + 1), _number(fields["taken"]))


def _number(value: Any, least: int = 0, most: int = MAX_U64) -> int:
    # `true` is an int as well.
    if type(value) is not int or not least <= value <= most:
        raise ValueError
    return value
