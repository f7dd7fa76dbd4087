"""Every value of the vectors is reproduced, or used; a section or value that nobody reads fails."""

import os
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

import sections
import sections_later
import vectors
from sections import Enrollment, NoClock
from vectors import Case
from wardein_device.errors import Malformed, Untrusted
from wardein_device.suite import AUTHORITY_SHARE

SECTIONS: dict[str, Callable[[Case], None]] = {
    name.removeprefix("section_"): function
    for module in (sections, sections_later)
    for name, function in vars(module).items()
    if name.startswith("section_")
}
NAMES = {"seed_note", "tenant", "device_id"}
# The lists that came later, as section 10 of SPEC.md has them; a file that it does not speak of may lack any.
LATER = {name.partition(".")[0] for name in re.findall(r"^\| `([a-z_.]+)` \| ", vectors.SPEC_SECTION_10, re.MULTILINE)}
IS_COMMITTED = "WARDEIN_DDKG_VECTORS" not in os.environ


@pytest.mark.parametrize("section", sorted(set(vectors.ALL) - NAMES))
def test_a_section(section: str) -> None:
    assert section in SECTIONS, f"nothing reads the section {section} of {vectors.FILE.name}"
    case = Case({section: vectors.ALL[section]})
    SECTIONS[section](case)
    assert case.unread() == []


def test_there_are_as_many_sections_as_are_known() -> None:
    """So that a shorter file, or one under other names, is noticed."""
    always = {name.removeprefix("section_") for name in vars(sections) if name.startswith("section_")}
    assert always | NAMES <= set(vectors.ALL) <= set(SECTIONS) | NAMES
    assert LATER <= set(SECTIONS)
    if IS_COMMITTED:
        assert set(vectors.ALL) == always | NAMES | LATER


def test_a_value_that_nobody_looks_at_is_noticed() -> None:
    case = Case({"schedule": [{"period": 0, "new": 1}]})
    case.cases("schedule")[0].number("period")
    assert case.unread() == [".schedule.0.new"]


@pytest.mark.parametrize("at", range(2))
def test_a_changed_signature_or_confirmation_is_refused(at: int) -> None:
    """Nothing is saved, and the true reply may still come."""
    both = Enrollment(Case(vectors.ALL["enrollment"][at]))
    right, enrolling = both.reply.encode(), both.enrolling()
    saved: list[bytes] = []
    # The last byte of the signature, and of the confirmation; one bit of `not_before`.
    for place in (-33, -1, -32 - len(both.reply.signature) - 4 - 1):
        wrong = bytearray(right)
        wrong[place] ^= 1
        with pytest.raises(Untrusted):
            enrolling.finish(bytes(wrong), saved.append, NoClock())
    other = 3 - both.reply.suite
    of_another_suite = replace(both.reply, suite=other, authority_share=bytes(AUTHORITY_SHARE[other]))
    with pytest.raises(Malformed, match="suite"):
        enrolling.finish(of_another_suite.encode(), saved.append, NoClock())
    assert saved == []
    enrolling.finish(right, saved.append, NoClock())
    assert len(saved) == 1


def test_a_right_signature_with_other_keys_is_refused() -> None:
    """The confirmation alone tells: somebody changed the authority's own record, or ours."""
    both = Enrollment(Case(vectors.ALL["enrollment"][0]))
    wrong = replace(both.reply, authority_confirmation=bytes(32))
    with pytest.raises(Untrusted, match="confirmation"):
        both.enrolling().finish(wrong.encode(), lambda _: None, NoClock())
