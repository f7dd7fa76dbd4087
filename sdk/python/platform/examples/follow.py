"""Follows the trust of a platform's devices, and says of each that was named whether it is let in: follow.py IDENTITY DEVICE..."""

import asyncio
import logging
import sys

from wardein import DeviceVerdict, Platform, TrustCache


def fell(verdict: DeviceVerdict) -> None:
    """Where a platform closes the sessions of a device that is not trusted any more."""
    print(f"{verdict.device_id}: {verdict.verdict} ({', '.join(map(str, verdict.reasons))})")


async def main(identity: str, devices: list[str]) -> None:
    async with Platform(identity) as platform, TrustCache(platform, changed=fell) as cache:
        await cache.ready(timeout=30)
        while True:
            for device in devices:
                print(f"{device}: {'let in' if cache.lookup(device).is_trusted else 'refused'}")
            await asyncio.sleep(5)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
