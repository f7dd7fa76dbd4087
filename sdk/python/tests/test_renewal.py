"""SPEC section 11.3: when a certificate is to be renewed."""

from conftest import Found
from wardein_device import Window, renew_at

NOW, UNTIL = 1_000, 2_000


def moments(told: Window | None) -> range:
    seen = {renew_at(told, NOW, UNTIL) for _ in range(2_000)}
    return range(min(seen), max(seen) + 1)


def test_it_falls_anywhere_in_the_window_that_the_authority_told() -> None:
    assert moments(Window(1_300, 1_309)) == range(1_300, 1_310)
    assert moments(Window(1_100, 1_100)) == range(1_100, 1_101)


def test_no_window_wears_the_device_out_or_lets_its_certificate_end() -> None:
    usual = range(1_580, 1_741)
    for told in (None, Window(1_099, 1_200), Window(0, 10), Window(1_900, 2_001), Window(1_500, 1_499)):
        seen = moments(told)
        assert seen.start >= usual.start and seen.stop <= usual.stop and len(seen) > 100, told
    assert renew_at(None, UNTIL, NOW) == UNTIL


def test_a_session_has_what_came_with_the_last_reply(found: Found) -> None:
    house, told = found(), Window(1_300, 1_400)
    prove = house.authority.prove
    house.authority.prove = lambda proof, body: prove(proof, body)._replace(renewal=told)  # type: ignore[method-assign]
    house.session.authenticate()
    assert house.session.renewal == told
    house.authority.prove = prove  # type: ignore[method-assign]
    house.session.authenticate()
    assert house.session.renewal is None
