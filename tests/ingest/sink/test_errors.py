import pytest
from psycopg import Error
from psycopg import errors as pg

from ingest.sink.errors import RowRefusedError, SinkStoppedError, StoreUnavailableError
from ingest.sink.store import translated_errors


@pytest.mark.parametrize(
    "error",
    [
        pg.AdminShutdown,
        pg.CrashShutdown,
        pg.CannotConnectNow,
        pg.TooManyConnections,
        pg.DeadlockDetected,
        pg.SerializationFailure,
        pg.LockNotAvailable,
        pg.DiskFull,
        pg.IdleInTransactionSessionTimeout,
        pg.ReadOnlySqlTransaction,
    ],
)
def test_what_passes_by_itself_is_waited_for(error: type[Error]) -> None:
    with pytest.raises(StoreUnavailableError), translated_errors():
        raise error


@pytest.mark.parametrize(
    "error",
    [pg.NumericValueOutOfRange, pg.InvalidTextRepresentation, pg.CheckViolation, pg.ProgramLimitExceeded],
)
def test_what_concerns_a_row_is_told_with_its_state(error: type[Error]) -> None:
    with pytest.raises(RowRefusedError) as refused, translated_errors():
        raise error
    assert refused.value.sqlstate == error.sqlstate


@pytest.mark.parametrize("error", [pg.UndefinedColumn, pg.UndefinedTable, pg.InsufficientPrivilege])
def test_what_waiting_does_not_mend_stops_the_sink_with_a_remedy(error: type[Error]) -> None:
    with pytest.raises(SinkStoppedError, match="piston up"), translated_errors():
        raise error
