"""PostgreSQL with TimescaleDB: the hot tier's database and Dagster's."""

from pathlib import Path
from typing import Any, ClassVar, Final

import psycopg
from psycopg import sql

from stack import processes
from stack.account import own_account
from stack.errors import PreflightError, ProbeError, StartError
from stack.install import timescale as programs_of_timescale
from stack.install.everything import Programs
from stack.layout import make_private, write_private
from stack.servers.server import SERVER_PATH, PortUse, Prepared, Server
from telematics.names import DAGSTER_DATABASE, TELEMETRY_DATABASE

SUPERUSER = "postgres"
"""Has no password: only the user of this stack comes in as it, through the Unix socket."""

_CONFIGURATION: Final = """\
data_directory = '{data}'
hba_file = '{folder}/pg_hba.conf'
ident_file = '{folder}/pg_ident.conf'
listen_addresses = '{host}'
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
cluster_name = '{cluster_name}'
password_encryption = scram-sha-256
max_connections = 100

shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
timescaledb.max_background_workers = 8
max_worker_processes = 16
max_parallel_workers = 2
max_parallel_workers_per_gather = 1
# one lock per chunk that a statement touches: a year of daily chunks with their indexes
max_locks_per_transaction = 256

shared_buffers = '512MB'
effective_cache_size = '2GB'
work_mem = '32MB'
maintenance_work_mem = '256MB'
random_page_cost = 1.1
jit = off
# a duplicate key is named with its device in DETAIL, and an IMEI has no place in a log
log_error_verbosity = terse

# what is committed survives a crash; fewer, larger checkpoints
synchronous_commit = on
max_wal_size = '4GB'
wal_compression = lz4
checkpoint_timeout = '15min'
checkpoint_completion_target = 0.9

timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
lc_messages = 'C'
"""

_HBA: Final = """\
# the user of the stack is the superuser, by the kernel's word; everybody else needs the password
local all {superuser} peer map=stack
local all all scram-sha-256
host all {superuser} all reject
host all all all scram-sha-256
"""

_TIMEOUT_S = 2


class Timescale(Server):
    """The stack's PostgreSQL."""

    name: ClassVar[str] = "timescale"
    title: ClassVar[str] = "TimescaleDB"
    stop_signal: ClassVar[str] = "INT"  # fast shutdown: ends sessions, writes a checkpoint

    @property
    def ports(self) -> tuple[PortUse, ...]:
        """The one port."""
        return (PortUse(self.settings.timescale_port, "PISTON_TIMESCALE_PORT", self.settings.host),)

    @property
    def cluster_name(self) -> str:
        """The name by which a probe knows this server."""
        return f"piston-{self.ground.identity}"

    @property
    def data(self) -> Path:
        """PostgreSQL's own data folder."""
        return self.folder / "data"

    @property
    def sockets(self) -> Path:
        """Where the Unix socket lies."""
        return self.ground.layout.sockets(self.name)

    def configuration(self) -> dict[str, str]:
        """The text of each configuration file, by its name."""
        users = dict.fromkeys([own_account().name, self.ground.account.name])
        return {
            "postgresql.conf": _CONFIGURATION.format(
                data=self.data,
                folder=self.folder,
                host=self.settings.host,
                port=self.settings.timescale_port,
                sockets=self.sockets,
                cluster_name=self.cluster_name,
            ),
            "pg_hba.conf": _HBA.format(superuser=SUPERUSER),
            "pg_ident.conf": "".join(f'stack "{user}" {SUPERUSER}\n' for user in users),
        }

    def prepare(self, programs: Programs) -> Prepared:
        """Write the configuration and create the cluster if it is new."""
        if not Path("/usr/share/zoneinfo/UTC").exists():
            message = "PostgreSQL needs time zones and this machine has none; install tzdata"
            raise PreflightError(message)
        account = self.ground.account
        binaries = programs.timescale / programs_of_timescale.BIN
        make_private(self.folder, account.uid, account.gid)
        make_private(self.sockets, account.uid, account.gid)
        changed = [
            write_private(self.folder / name, text, account.uid, account.gid)
            for name, text in self.configuration().items()
        ]
        if not (self.data / "PG_VERSION").exists():
            self._initialise(binaries)
        self._remove_stale_lock()
        command = [
            str(binaries / "postgres"), "-D", str(self.data),
            "-c", f"config_file={self.folder}/postgresql.conf",
        ]  # fmt: skip
        return Prepared(command, account, any(changed))

    def _initialise(self, binaries: Path) -> None:
        account = self.ground.account
        make_private(self.data, account.uid, account.gid)
        done = account.run(
            [
                str(binaries / "initdb"), "-D", str(self.data), "-U", SUPERUSER, "--encoding=UTF8",
                "--auth-local=peer", "--auth-host=scram-sha-256", "--locale=C",
                "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--data-checksums",
                "--no-instructions",
            ],
            {"PATH": SERVER_PATH, "LC_ALL": "C", "TZ": "UTC"},
        )  # fmt: skip
        if done.returncode != 0:
            message = f"PostgreSQL could not create {self.data}: {done.stderr.strip()[-300:]}"
            raise StartError(message)

    def _remove_stale_lock(self) -> None:
        """Remove the lock file of a killed server whose process id now belongs to somebody else.

        PostgreSQL itself only sees that the number is in use and would refuse to start.
        """
        lock = self.data / "postmaster.pid"
        pid = processes.read_pid(lock)
        if pid is not None and not any(str(self.data) in word for word in processes.command_line(pid)):
            lock.unlink(missing_ok=True)

    def check(self) -> str:
        """A query as our role, over TCP, whose answer holds the cluster's name and the extension."""
        try:
            with self._connect(self.settings.timescale_dsn()) as connection:
                name, version, databases = self._facts(connection)
        except psycopg.Error as error:
            said = str(error).strip().splitlines()
            message = (
                f"TimescaleDB at {self.settings.host}:{self.settings.timescale_port} does not serve role "
                f"{self.settings.timescale_user} ({said[-1] if said else type(error).__name__})"
            )
            raise ProbeError(message) from error
        if name != self.cluster_name:
            message = (
                f"port {self.settings.timescale_port} is answered by another PostgreSQL; "
                "set PISTON_TIMESCALE_PORT to a port of your own"
            )
            raise ProbeError(message)
        if version is None or databases != 2:
            message = "TimescaleDB runs but its databases are not set up; run: piston up"
            raise ProbeError(message)
        return f"TimescaleDB {version}"

    def finish(self) -> None:
        """Create role, databases and extensions; nothing where `check` succeeds already.

        Raises:
            ProbeError: the server does not answer yet.
        """
        try:
            self.check()
        except ProbeError:
            try:
                self._set_up()
            except psycopg.OperationalError as error:
                message = f"PostgreSQL does not answer on {self.sockets} ({str(error).strip()})"
                raise ProbeError(message) from error

    def _set_up(self) -> None:
        role = sql.Identifier(self.settings.timescale_user)
        with self._as_superuser("postgres") as connection:
            self._put_role(connection)
            known = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
            for database in (TELEMETRY_DATABASE, DAGSTER_DATABASE):
                name = sql.Identifier(database)
                if database not in known:
                    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, role))
                connection.execute(sql.SQL("ALTER DATABASE {} SET timezone = 'UTC'").format(name))
        with self._as_superuser(TELEMETRY_DATABASE) as connection, connection.transaction():
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
            # the clean-up of job history is not in the Apache edition and would fail every day;
            # in the same transaction, so that its first run never starts
            connection.execute(
                "UPDATE _timescaledb_config.bgw_job SET scheduled = false "
                "WHERE id = 3 AND current_setting('timescaledb.license', true) = 'apache'"
            )

    def _put_role(self, connection: "psycopg.Connection[Any]") -> None:
        """Create our role or renew its password. It owns its databases and is no superuser.

        CREATEDB lets tests and tools have scratch databases; the two granted roles let `piston` see and
        end sessions. The server is only told the SCRAM verifier, never the password.
        """
        name = self.settings.timescale_user
        password = self.settings.timescale_password.get_secret_value()
        verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
        exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
        statement = (
            "ALTER ROLE {} LOGIN PASSWORD {}" if exists else "CREATE ROLE {} LOGIN CREATEDB PASSWORD {}"
        )
        connection.execute(sql.SQL(statement).format(sql.Identifier(name), sql.Literal(verifier.decode())))
        connection.execute(sql.SQL("GRANT pg_monitor, pg_signal_backend TO {}").format(sql.Identifier(name)))

    def _facts(self, connection: "psycopg.Connection[Any]") -> tuple[str, str | None, int]:
        row = connection.execute(
            "SELECT current_setting('cluster_name'), "
            "(SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'), "
            "(SELECT count(*) FROM pg_database WHERE datname IN (%s, %s))",
            (TELEMETRY_DATABASE, DAGSTER_DATABASE),
        ).fetchone()
        return row if row is not None else ("", None, 0)

    def _as_superuser(self, database: str) -> "psycopg.Connection[Any]":
        port = self.settings.timescale_port
        return self._connect(f"host={self.sockets} port={port} dbname={database} user={SUPERUSER}")

    def _connect(self, conninfo: str) -> "psycopg.Connection[Any]":
        return psycopg.connect(conninfo, autocommit=True, connect_timeout=_TIMEOUT_S)
