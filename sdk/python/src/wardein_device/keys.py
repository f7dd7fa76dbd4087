"""SPEC section 3: keys, their names, and the schedule."""

from dataclasses import dataclass
from typing import Final

from .primitives import expand, u64
from .tree import LAST_EPOCH

# A device's request to the authority; logging in to a platform; a sealed payload; a sealed file's key.
PROOF: Final = "proof"
TOKEN: Final = "token"
DATA: Final = "data"
FILE: Final = "file"
PURPOSES: Final = (PROOF, TOKEN, DATA, FILE)


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
