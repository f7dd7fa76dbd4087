"""The floods, by name. Each is a function that goes on until its time is over, and says what it did."""

# ruff: noqa: F401, I001
# Their order is that of the table.
from floods import bodies, posts, connections, streams, operators, logs, port, protocol, control
from floods.flood import FLOODS
