"""What python-tuf finds at a path of the repository at an address, from its first root on: length and SHA-256, or null."""

import json
import pathlib
import sys
import tempfile

from tuf.ngclient import Updater

address, root, wanted = sys.argv[1:]
with tempfile.TemporaryDirectory() as state:
    updater = Updater(state, address, bootstrap=pathlib.Path(root).read_bytes())
    updater.refresh()
    found = updater.get_targetinfo(wanted)
print(json.dumps(found and {"length": found.length, "sha256": found.hashes["sha256"]}))
