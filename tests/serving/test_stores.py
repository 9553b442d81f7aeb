import asyncio

import pytest

from serving.stores import StoreUnavailableError, answering


async def test_a_failure_that_was_named_becomes_unavailable() -> None:
    with pytest.raises(StoreUnavailableError, match="Valkey"):
        async with answering("Valkey", ConnectionError):
            raise ConnectionRefusedError


async def test_silence_becomes_unavailable() -> None:
    with pytest.raises(StoreUnavailableError):
        async with answering("Valkey", within_s=0.01):
            await asyncio.sleep(30)


async def test_a_bug_stays_what_it_is() -> None:
    with pytest.raises(KeyError):
        async with answering("Valkey", ConnectionError):
            raise KeyError
