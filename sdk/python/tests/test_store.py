"""The state on disk: whenever the power fails, the former or the new one is there, whole."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import Found
from wardein_device import Device, StateError, Store
from wardein_device.state import MAX_LENGTH, State
from test_device import GOLDEN


def test_it_is_saved_in_an_order_that_survives_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def watch_fsync(descriptor: int) -> None:
        place = os.readlink(f"/proc/self/fd/{descriptor}")
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("fsync directory" if is_directory else f"fsync {Path(place).name} of {os.fstat(descriptor).st_size}")
        fsync(descriptor)

    def watch_replace(source: Any, target: Any) -> None:
        done.append(f"rename to {Path(target).name}")
        replace(source, target)

    with Store(tmp_path / "device") as store:
        monkeypatch.setattr(os, "fsync", watch_fsync)
        monkeypatch.setattr(os, "replace", watch_replace)
        store.save(b"whole")
        assert store.load() == b"whole"
    assert done == ["fsync state.json.new of 5", "rename to state.json", "fsync directory"]


@pytest.mark.parametrize("step", ["open", "fsync", "replace", "directory"])
def test_a_crash_at_any_step_leaves_a_whole_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    class PowerCut(BaseException):
        pass

    calls: list[int] = []

    def cut(*_: object, **__: object) -> None:
        raise PowerCut

    def cut_at_second(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise PowerCut

    with Store(tmp_path) as store:
        store.save(b"former")
        with monkeypatch.context() as patch:
            if step == "directory":
                patch.setattr(os, "fsync", cut_at_second)
            else:
                patch.setattr(os, step, cut)
            with pytest.raises(PowerCut):
                store.save(b"next")
    with Store(tmp_path) as store:
        # After the rename it may be either; here nothing was lost.
        assert store.load() == (b"next" if step == "directory" else b"former")
        # What a crash left beside it is in nobody's way.
        store.save(b"later")
        assert store.load() == b"later"


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        with Store(tmp_path / "a" / "device") as store:
            store.save(b"secret")
            modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in (tmp_path / "a" / "device").iterdir()}
            assert modes == {"state.json": 0o600, "lock": 0o600}
            assert stat.S_IMODE((tmp_path / "a" / "device").stat().st_mode) == 0o700
    finally:
        os.umask(former)


def test_a_link_in_the_place_of_the_next_state_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "state.json.new").symlink_to(tmp_path / "elsewhere")
    with Store(tmp_path) as store, pytest.raises(OSError):
        store.save(b"secret")
    assert (tmp_path / "elsewhere").read_bytes() == b""


def test_one_process_at_a_time(tmp_path: Path) -> None:
    program = f"import sys; sys.path[:] = {sys.path!r}; from wardein_device import Store; Store({str(tmp_path)!r})"
    other = [sys.executable, "-c", program]
    with Store(tmp_path) as store:
        with pytest.raises(StateError, match="in use"):
            Store(tmp_path)
        ended = subprocess.run(other, capture_output=True, text=True, check=False)
        assert ended.returncode == 1 and "in use by another process" in ended.stderr
        store.save(b"x")
    with pytest.raises(StateError, match="closed"):
        store.save(b"y")
    subprocess.run(other, check=True)


def test_a_device_goes_on_from_its_directory(tmp_path: Path, found: Found) -> None:
    house = found()
    house.session.authenticate()
    with Store(tmp_path) as store:
        assert store.load() is None
        store.save(house.saved[-1])
        saved = store.load()
        assert saved is not None
        Device.load(saved, store.save).seal(b"x")
        now = store.load()
        assert now is not None and State.decode(now).branches["data"].number == 1


def test_a_damaged_state_is_refused_and_not_shown(tmp_path: Path) -> None:
    right = GOLDEN.read_bytes()
    assert State.decode(right).encode() == right
    wrong = [
        b"",
        b"{}",
        b"[]",
        b"null",
        right[:-1],
        right + b"\n",
        right[: len(right) // 2],
        right.replace(b"wardein-device-1", b"wardein-device-2"),
        right.replace(b'"number": 17', b'"number": -1'),
        right.replace(b'"number": 17', b'"number": 17.0'),
        right.replace(b'"number": 17', b'"number": true'),
        right.replace(b'"number": 17', b'"number": 9223372036854775809'),
        right.replace(b'   "number": 17,\n', b""),
        right.replace(b'"number": 17', b'"number": 17,\n   "number": 17'),
        right.replace(b'"number": 17', b'"Number": 17'),
        right.replace(b'"proof"', b'"other"'),
        right.replace(b'"suite": 2', b'"suite": 3'),
        right.replace(b'"generation": 3', b'"generation": 0'),
        right.replace(b'"tenant": "klinik-nord"', b'"tenant": "Klinik"'),
        right.replace(b'"frontier": "', b'"frontier": "A'),
        right.replace(b'"proven": false', b'"proven": 0'),
        b"[" * 100_000,
    ]
    for data in wrong:
        assert data != right
        with pytest.raises(StateError) as error:
            State.decode(data)
        assert len(str(error.value)) < 100 and error.value.__cause__ is None
    with Store(tmp_path) as store:
        store.save(bytes(MAX_LENGTH + 1))
        with pytest.raises(StateError, match="too long"):
            store.load()
