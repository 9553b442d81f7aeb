"""What the tests of the live writer read back."""

import redis

from telematics.names import live_key
from tests.ingest.live.conftest import Registry


def newest(client: redis.Redis, registry: Registry) -> object:
    return client.hget(live_key(registry.vin), "fuel_pct")
