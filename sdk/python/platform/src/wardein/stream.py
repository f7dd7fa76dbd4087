"""Many questions on one stream."""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self

import grpc

from ._pb import trust_pb2
from .errors import DeadlineExceeded, Refused, TransportError, answered, of_failure
from .retry import retrying
from .verdicts import DeviceVerdict, device_verdict

# The most ids of one message.
BATCH: Final = 1024


class CheckStream:
    """The verdicts on many devices at a time, as of now. The stream is opened with the first question, and again after it ended."""

    def __init__(self, opened: Callable[[], Any], timeout: float) -> None:
        self._opened = opened
        self._timeout = timeout
        self._call: Any = None
        # One question at a time: answers come in the order of the messages.
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the stream."""
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    async def check(self, device_ids: Sequence[str], *, timeout: float | None = None) -> list[DeviceVerdict | Refused]:
        """One result for each id, in their order: the verdict, or why there is none, as for an id that is malformed. More than 1,024 go
        in several messages."""
        batches = [device_ids[at : at + BATCH] for at in range(0, len(device_ids), BATCH)]

        async def attempt(left: float) -> list[DeviceVerdict | Refused]:
            try:
                async with asyncio.timeout(left):
                    return await self._ask(batches)
            except TimeoutError:
                raise DeadlineExceeded("DEADLINE_EXCEEDED", "no answer in time") from None

        timeout = self._timeout if timeout is None else timeout
        clock = asyncio.get_running_loop().time
        until = clock() + timeout
        try:
            async with asyncio.timeout(timeout):
                await self._turn.acquire()
        except TimeoutError:
            raise DeadlineExceeded("DEADLINE_EXCEEDED", "others were asking all the time") from None
        try:
            return await retrying(attempt, max(until - clock(), 0.0))
        finally:
            self._turn.release()

    async def _ask(self, batches: list[Sequence[str]]) -> list[DeviceVerdict | Refused]:
        if self._call is None or self._call.done():
            self._call = self._opened()
        # Beside the reading, since each waits where the other does not go on.
        writing = asyncio.create_task(_write(self._call, batches))
        results: list[DeviceVerdict | Refused] = []
        is_whole = False
        try:
            for batch in batches:
                answer = await answered(self._call.read())
                if answer is grpc.aio.EOF:
                    raise TransportError("UNAVAILABLE", "the stream ended")
                if len(answer.results) != len(batch):
                    raise TransportError("INTERNAL", "the answer is not to the question")
                results.extend(map(_result, answer.results))
            is_whole = True
            return results
        finally:
            writing.cancel()
            if not is_whole:
                # What still comes is to this question, and not to the next.
                self.close()


async def _write(call: Any, batches: list[Sequence[str]]) -> None:
    try:
        for batch in batches:
            await call.write(trust_pb2.CheckStreamRequest(device_ids=batch))
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        # The reader hears of it.
        pass


def _result(result: trust_pb2.CheckResult) -> DeviceVerdict | Refused:
    if result.WhichOneof("result") == "verdict":
        return device_verdict(result.verdict)
    return of_failure(result.failure.status, result.failure.code, result.failure.message)
