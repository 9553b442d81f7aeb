import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

from structlog.testing import capture_logs

from ingest.registry.directory import Admission, DeviceDirectory
from telematics.errors import UnavailableError

KNOWN, NEW = "356307042441013", "356307042441021"
SOON_S = 3.0


class Source:
    def __init__(self) -> None:
        self.active = {KNOWN}
        self.is_down = False
        self.questions: list[frozenset[str] | None] = []
        self.is_closed = False

    def __call__(self, among: Collection[str] | None) -> frozenset[str]:
        self.questions.append(None if among is None else frozenset(among))
        if self.is_down:
            message = "down"
            raise UnavailableError(message)
        return frozenset(self.active if among is None else self.active & set(among))

    def close(self) -> None:
        self.is_closed = True


@asynccontextmanager
async def running(source: Source, refresh_s: float = 30.0) -> AsyncIterator[DeviceDirectory]:
    directory = DeviceDirectory(source, refresh_s=refresh_s, gather_s=0.005)
    task = asyncio.create_task(directory.run())
    async with asyncio.timeout(SOON_S):
        while not source.questions:  # noqa: ASYNC110 - a test polls
            await asyncio.sleep(0.001)
    yield directory
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def ask(directory: DeviceDirectory, imei: str) -> Admission:
    answer: asyncio.Future[Admission] = asyncio.get_running_loop().create_future()
    directory.look_up(imei, answer.set_result)
    async with asyncio.timeout(SOON_S):
        return await answer


async def test_all_devices_are_known_from_the_start():
    async with running(Source()) as directory:
        assert await ask(directory, KNOWN) is Admission.ACTIVE
        assert directory.knows(KNOWN)
        assert len(directory) == 1


async def test_a_device_added_later_is_found_and_then_known():
    source = Source()
    async with running(source) as directory:
        assert await ask(directory, NEW) is Admission.UNKNOWN
        assert not directory.knows(NEW)
        source.active.add(NEW)
        assert await ask(directory, NEW) is Admission.ACTIVE
        assert directory.knows(NEW)


async def test_look_ups_at_the_same_time_are_one_question_and_each_gets_an_answer():
    source = Source()
    async with running(source) as directory:
        answers = await asyncio.gather(*(ask(directory, imei) for imei in [KNOWN, NEW, NEW, "1" * 15]))
        assert answers == [Admission.ACTIVE, Admission.UNKNOWN, Admission.UNKNOWN, Admission.UNKNOWN]
        assert source.questions == [None, {KNOWN, NEW, "1" * 15}]


async def test_a_retired_device_is_forgotten_at_the_next_refresh():
    source = Source()
    async with running(source, refresh_s=0.02) as directory:
        source.active.clear()
        async with asyncio.timeout(SOON_S):
            while directory.knows(KNOWN):  # noqa: ASYNC110 - a test polls
                await asyncio.sleep(0.005)


async def test_while_the_registry_is_down_the_known_stay_and_others_hear_that_nobody_knows():
    source = Source()
    async with running(source, refresh_s=0.02) as directory:
        assert await ask(directory, KNOWN) is Admission.ACTIVE
        source.is_down = True
        assert await ask(directory, NEW) is Admission.UNAVAILABLE
        await asyncio.sleep(0.06)  # refreshes fail meanwhile
        assert directory.knows(KNOWN)
        source.is_down = False
        assert await ask(directory, NEW) is Admission.UNKNOWN


async def test_a_registry_that_is_down_at_the_start_is_read_once_it_is_back():
    source = Source()
    source.is_down = True
    async with running(source, refresh_s=0.02) as directory:
        source.is_down = False
        async with asyncio.timeout(SOON_S):
            while not directory.knows(KNOWN):  # noqa: ASYNC110 - a test polls
                await asyncio.sleep(0.005)


async def test_a_registry_that_stays_down_is_one_line_however_many_ask():
    source = Source()
    source.is_down = True
    with capture_logs() as lines:
        async with running(source, refresh_s=0.02) as directory:
            for _ in range(5):
                assert await ask(directory, NEW) is Admission.UNAVAILABLE
    assert [line["event"] for line in lines] == ["registry.unavailable"]
