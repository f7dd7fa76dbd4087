"""SPEC section 2: the epoch trees."""

from dataclasses import dataclass
from typing import Final, Self

from .errors import Malformed
from .primitives import expand, u8, u32

DEPTH: Final = 32
LAST_EPOCH: Final = 2**DEPTH - 1
_NODE_LENGTH: Final = 1 + 4 + 32


@dataclass(frozen=True, slots=True, repr=False)
class _Node:
    depth: int
    # Its index at its depth.
    index: int
    secret: bytes

    @property
    def first(self) -> int:
        """The first epoch that it covers."""
        return self.index << (DEPTH - self.depth)

    @property
    def last(self) -> int:
        return ((self.index + 1) << (DEPTH - self.depth)) - 1

    def child(self, right: int) -> "_Node":
        return _Node(self.depth + 1, 2 * self.index + right, expand(self.secret, "right" if right else "left"))

    def cover(self, first: int, last: int) -> list["_Node"]:
        """The least nodes at or below this one that yield the epochs from `first` to `last`, as far as it has them."""
        if last < self.first or self.last < first:
            return []
        if first <= self.first and self.last <= last:
            return [self]
        return self.child(0).cover(first, last) + self.child(1).cover(first, last)

    def __repr__(self) -> str:
        return f"_Node({self.depth}, {self.index})"


class Tree:
    """A cover of consecutive epochs. A device's is a frontier: it ends with the last epoch, and moves forward only."""

    __slots__ = ("_nodes",)

    def __init__(self, nodes: list[_Node]) -> None:
        self._nodes = nodes

    @classmethod
    def of(cls, root: bytes) -> Self:
        """The whole tree below the root of a purpose."""
        return cls([_Node(0, 0, root)])

    @property
    def first(self) -> int:
        """The first epoch that it yields."""
        return self._nodes[0].first

    @property
    def last(self) -> int:
        return self._nodes[-1].last

    def __len__(self) -> int:
        return len(self._nodes)

    def cover(self, first: int, last: int) -> "Tree":
        """What yields the epochs from `first` to `last` and none else."""
        if not self.first <= first <= last <= self.last:
            raise Malformed("epochs", f"{first} to {last} are not within {self.first} to {self.last}")
        return Tree([part for node in self._nodes for part in node.cover(first, last)])

    def epoch_secret(self, epoch: int) -> bytes:
        """ES[g,p,e]. It erases nothing."""
        return self.cover(epoch, epoch)._nodes[0].secret

    def advance(self, epoch: int) -> None:
        """Gives up whatever can yield an epoch below `epoch`."""
        if epoch > self.first:
            self._nodes = self.cover(epoch, self.last)._nodes

    def encode(self) -> bytes:
        return b"".join(u8(node.depth) + u32(node.index) + node.secret for node in self._nodes)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Takes nodes that are side by side. That they are the fewest is not looked at: it changes no secret."""
        if not data or len(data) % _NODE_LENGTH:
            raise Malformed("cover", "is not made of whole nodes")
        nodes: list[_Node] = []
        for at in range(0, len(data), _NODE_LENGTH):
            part = data[at : at + _NODE_LENGTH]
            node = _Node(part[0], int.from_bytes(part[1:5], "big"), part[5:])
            if node.depth > DEPTH or node.last > LAST_EPOCH:
                raise Malformed("cover", "has a node outside the tree")
            if nodes and node.first != nodes[-1].last + 1:
                raise Malformed("cover", "has a gap, or nodes that overlap")
            nodes.append(node)
        return cls(nodes)

    def __repr__(self) -> str:
        return f"Tree({self.first} to {self.last})"
