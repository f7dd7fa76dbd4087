"""Updates by python-tuf from each repository in a directory: first from `before`, which must work, then from `after`. Says what became of it."""

import json
import pathlib
import sys
import tempfile

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

WANTED = "infusion/pump-3/2.img"


class Share(FetcherInterface):
    def _fetch(self, url):
        file = pathlib.Path(url)
        if not file.exists():
            raise DownloadHTTPError("not there", 404)
        content = file.read_bytes()
        yield from (content[at : at + 4096] for at in range(0, len(content), 4096))


def update(share, state, root):
    with tempfile.TemporaryDirectory() as artifacts:
        updater = Updater(
            str(state), f"{share}/metadata/", artifacts, f"{share}/targets/", fetcher=Share(), bootstrap=root
        )
        updater.refresh()
        found = updater.get_targetinfo(WANTED)
        if found is None:
            return None
        return pathlib.Path(updater.download_target(found)).read_bytes()


def judge(case):
    root = (case / "root.json").read_bytes()
    state = case / "python"
    state.mkdir()
    if (case / "before").exists():
        assert update(case / "before", state, root) == b"firmware, the second", case
    try:
        found = update(case / "after", state, root)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "taken" if found == b"firmware, the second" else f"{found}"


print(json.dumps({case.name: judge(case) for case in sorted(pathlib.Path(sys.argv[1]).iterdir())}))
