"""SPEC section 3: keys, their names, and the schedule."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .errors import Malformed
from .primitives import expand, u64
from .tree import LAST_EPOCH

# A device's request to the authority; logging in to a platform; a sealed payload; a sealed file's key.
PROOF: Final = "proof"
TOKEN: Final = "token"
DATA: Final = "data"
FILE: Final = "file"
# At their places in a set of purposes.
PURPOSES: Final = (PROOF, TOKEN, DATA, FILE)
MAX_NUMBER: Final = 2**63 - 1


def check_purposes(purposes: Iterable[str]) -> tuple[str, ...]:
    chosen = tuple(purposes)
    if PROOF not in chosen or not set(chosen) <= set(PURPOSES):
        raise Malformed("purposes", "must be proof, and any of token, data and file")
    return chosen


def set_of(purposes: Iterable[str]) -> int:
    """A bit for each, that of its place."""
    return sum(1 << PURPOSES.index(purpose) for purpose in set(purposes))


def known_in(bits: int) -> list[str]:
    """The purposes of a set, as far as this release knows them."""
    return [purpose for place, purpose in enumerate(PURPOSES) if bits >> place & 1]


def purpose_root(generation_root: bytes, purpose: str) -> bytes:
    """The root of a purpose's tree (section 2)."""
    return expand(generation_root, "purpose", purpose.encode())


def number_key(epoch_secret: bytes, number: int) -> bytes:
    """K[g,p,e,n]."""
    return expand(epoch_secret, "key", u64(number))


@dataclass(frozen=True, slots=True)
class Schedule:
    """When keys change: it holds for all purposes of a generation."""

    # Seconds, 0 for none.
    period: int
    # Keys per epoch, 0 for no bound.
    max_uses: int
    # Unix seconds: the start of epoch 0.
    not_before: int

    def due(self, time: int) -> int:
        """The epoch that is due at `time`. Beyond the last there is none."""
        if self.period == 0:
            return 0
        return min(max(0, time - self.not_before) // self.period, LAST_EPOCH)

    def is_spent(self, taken: int) -> bool:
        """Whether `taken` keys are all that an epoch has."""
        return self.max_uses != 0 and taken >= self.max_uses
