"""ClickHouse: the warehouse. The engine is that of chdb-core, made to listen by `stack.clickhouse_node`."""

import hashlib
import http.client
import secrets
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import ClassVar, Final
from xml.sax.saxutils import escape

import stack
from stack import clickhouse_node
from stack.account import Account, can_enter, own_account
from stack.errors import ProbeError
from stack.install.everything import Programs
from stack.layout import make_private, write_private
from stack.servers.server import PortUse, Prepared, Server
from telematics.names import ANALYTICS_DATABASE, COLD_VOLUME, TIERED_POLICY

_CONFIG: Final = """\
<clickhouse>
  <listen_host>{host}</listen_host>
  <http_port>{http_port}</http_port>
  <tcp_port>{tcp_port}</tcp_port>
  <users_config>users.xml</users_config>
  <!-- by this a probe knows our server from another one on the port -->
  <macros><stack>{identity}</stack></macros>
  <logger>
    <level>warning</level>
    <log>{logs}/server.log</log><errorlog>{logs}/errors.log</errorlog>
    <size>20M</size><count>3</count>
  </logger>
  <max_server_memory_usage>4000000000</max_server_memory_usage>
  <mark_cache_size>268435456</mark_cache_size>
  <!-- the defaults are for dozens of cores -->
  <background_pool_size>4</background_pool_size>
  <background_schedule_pool_size>16</background_schedule_pool_size>
  <background_schedule_pool_max_parallel_tasks_per_type_ratio>1</background_schedule_pool_max_parallel_tasks_per_type_ratio>
  <!-- the volumes of analytics.telemetry: its TTL moves days to the second, nothing else does -->
  <storage_configuration>
    <disks><cold><path>{cold}/</path></cold></disks>
    <policies>
      <{policy}>
        <volumes>
          <default><disk>default</disk></default>
          <{volume}><disk>cold</disk></{volume}>
        </volumes>
        <move_factor>0</move_factor>
      </{policy}>
    </policies>
  </storage_configuration>
  <query_log>
    <database>system</database><table>query_log</table>
    <flush_interval_milliseconds>5000</flush_interval_milliseconds>
    <ttl>event_date + INTERVAL 3 DAY</ttl>
  </query_log>
</clickhouse>
"""

_DATABASE_RIGHTS: Final = (
    "SHOW, SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE DICTIONARY, "
    "DROP DATABASE, DROP TABLE, DROP VIEW, DROP DICTIONARY, UNDROP TABLE, TRUNCATE, OPTIMIZE, CHECK, "
    "dictGet, SYSTEM MERGES, SYSTEM TTL MERGES, SYSTEM MOVES"
)
_OWNER_GRANTS: Final = (
    # the star covers scratch databases whose names begin the same, such as a test's
    f"GRANT {_DATABASE_RIGHTS} ON {ANALYTICS_DATABASE}*.*",
    "GRANT SELECT ON system.*",
    "GRANT SELECT ON information_schema.*",
    "GRANT TABLE ENGINE ON *",
    # postgresql() reads the hot tier, s3() the archive; nobody may read files of this machine
    "GRANT READ, WRITE ON POSTGRES",
    "GRANT READ, WRITE ON S3",
    "GRANT CREATE TEMPORARY TABLE, KILL QUERY, SHOW, SYSTEM FLUSH LOGS, SYSTEM DROP CACHE, "
    "SYSTEM RELOAD DICTIONARY ON *.*",
)
_READER_GRANTS: Final = (f"GRANT SELECT ON {ANALYTICS_DATABASE}.*",)
_ENGINE_GRANTS: Final = ("GRANT SYSTEM LISTEN ON *.*", "GRANT SELECT ON system.numbers")
_STOPPER_GRANTS: Final = ("GRANT KILL QUERY ON *.*", "GRANT SELECT ON system.processes")

_USERS: Final = """\
<clickhouse>
  <profiles>
    <default><load_balancing>random</load_balancing></default>
    <!-- an insert that was answered is on the disk: no batching in the server's memory -->
    <owner><async_insert>0</async_insert></owner>
    <reader><readonly>2</readonly><max_execution_time>30</max_execution_time></reader>
  </profiles>
  <quotas>
    <default/>
    <!-- what the engine's own session needs, in 63 years: nothing is left for others under its name -->
    <engine>
      <interval><duration>2000000000</duration><queries>{engine_queries}</queries></interval>
    </engine>
  </quotas>
  <users>
    <default>
      <!-- the engine's own session, which cannot have a password and counts as the loopback -->
      <password></password><networks><ip>::1</ip></networks>
      <profile>default</profile><quota>engine</quota>
      <grants>{engine_grants}</grants>
    </default>
    <{stopper}>
      <!-- ends the engine's own session, see stack.clickhouse_node -->
      <password_sha256_hex>{stopper_password}</password_sha256_hex>
      <networks><ip>{network}</ip></networks>
      <profile>default</profile><quota>default</quota>
      <grants>{stopper_grants}</grants>
    </{stopper}>
    <{owner}>
      <password_sha256_hex>{owner_password}</password_sha256_hex>
      <networks><ip>{network}</ip></networks>
      <profile>owner</profile><quota>default</quota>
      <grants>{owner_grants}</grants>
    </{owner}>
    <{reader}>
      <password_sha256_hex>{reader_password}</password_sha256_hex>
      <networks><ip>{network}</ip></networks>
      <profile>reader</profile><quota>default</quota>
      <grants>{reader_grants}</grants>
    </{reader}>
  </users>
</clickhouse>
"""
_TIMEOUT_S = 2.0


class ClickHouse(Server):
    """The stack's ClickHouse."""

    name: ClassVar[str] = "clickhouse"
    title: ClassVar[str] = "ClickHouse"

    @property
    def ports(self) -> tuple[PortUse, ...]:
        """HTTP and native."""
        return (
            PortUse(self.settings.clickhouse_http_port, "PISTON_CLICKHOUSE_HTTP_PORT", self.settings.host),
            PortUse(self.settings.clickhouse_tcp_port, "PISTON_CLICKHOUSE_TCP_PORT", self.settings.host),
        )

    @property
    def logs(self) -> Path:
        """Folder of the engine's own log."""
        return self.ground.layout.log / "clickhouse"

    def configuration(self, stop_key: str) -> dict[str, str]:
        """The text of each configuration file, by its name.

        Args:
            stop_key: password of the user who may only end the engine's own session.
        """
        settings = self.settings
        return {
            "config.xml": _CONFIG.format(
                host=escape(settings.host),
                http_port=settings.clickhouse_http_port,
                tcp_port=settings.clickhouse_tcp_port,
                identity=self.ground.identity,
                logs=escape(str(self.logs)),
                cold=escape(str(self.settings.cold)),
                policy=TIERED_POLICY,
                volume=COLD_VOLUME,
            ),
            "users.xml": _USERS.format(
                network="127.0.0.0/8" if _is_loopback(settings.host) else "::/0",
                engine_queries=len(clickhouse_node.STATEMENTS),
                engine_grants=_grants(_ENGINE_GRANTS),
                stopper=clickhouse_node.STOPPER,
                stopper_password=_sha256(stop_key),
                stopper_grants=_grants(_STOPPER_GRANTS),
                owner=settings.clickhouse_user,
                owner_password=_sha256(settings.clickhouse_password.get_secret_value()),
                owner_grants=_grants(_OWNER_GRANTS),
                reader=settings.clickhouse_reader_user,
                reader_password=_sha256(settings.clickhouse_reader_password.get_secret_value()),
                reader_grants=_grants(_READER_GRANTS),
            ),
        }

    def account(self) -> Account:
        """The servers' user where it can reach the environment, in which the engine lies; else our own.

        A clone in a closed home folder is the ordinary case of root: then the engine runs as root.
        """
        environment = [Path(stack.__file__).parent, Path(sys.prefix), Path(sys.executable).resolve().parent]
        account = self.ground.account
        return account if all(can_enter(account, folder) for folder in environment) else own_account()

    def prepare(self, programs: Programs) -> Prepared:
        """Write the configuration."""
        account = self.account()
        make_private(self.folder, account.uid, account.gid)
        make_private(self.logs, account.uid, account.gid)
        make_private(self.settings.cold, account.uid, account.gid)
        key_file = self.folder / clickhouse_node.STOP_KEY
        if not key_file.exists():
            write_private(key_file, secrets.token_hex(16), account.uid, account.gid)
        changed = [
            write_private(self.folder / name, text, account.uid, account.gid)
            for name, text in self.configuration(key_file.read_text()).items()
        ]
        address = f"{self.settings.host}:{self.settings.clickhouse_http_port}"
        command = [sys.executable, "-m", "stack.clickhouse_node", f"{self.folder}/", address]
        return Prepared(command, account, any(changed))

    def check(self) -> str:
        """A query as our user, whose answer holds this stack's identity."""
        answer = self._query(
            "SELECT version(), getMacro('stack'), "
            f"(SELECT count() FROM system.databases WHERE name = '{ANALYTICS_DATABASE}')"
        )
        version, _, rest = answer.partition("\t")
        identity, _, databases = rest.partition("\t")
        if identity != self.ground.identity:
            raise ProbeError(self._is_foreign())
        if databases != "1":
            message = f"ClickHouse runs without its database {ANALYTICS_DATABASE}; run: piston up"
            raise ProbeError(message)
        return f"version {version}"

    def finish(self) -> None:
        """Create the database."""
        if self._query("SELECT getMacro('stack')") != self.ground.identity:
            raise ProbeError(self._is_foreign())
        self._query(f"CREATE DATABASE IF NOT EXISTS {ANALYTICS_DATABASE}")

    def _is_foreign(self) -> str:
        return (
            f"port {self.settings.clickhouse_http_port} is answered by another ClickHouse; "
            "set PISTON_CLICKHOUSE_HTTP_PORT to a port of your own"
        )

    def _query(self, statement: str) -> str:
        where = f"{self.settings.host}:{self.settings.clickhouse_http_port}"
        request = urllib.request.Request(
            f"http://{where}/",
            data=statement.encode(),
            headers={
                "X-ClickHouse-User": self.settings.clickhouse_user,
                "X-ClickHouse-Key": self.settings.clickhouse_password.get_secret_value(),
            },
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=_TIMEOUT_S) as response:
                return str(response.read().decode()).rstrip("\n")
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(300).decode(errors="replace").strip()
            message = f"ClickHouse at {where} refuses user {self.settings.clickhouse_user} ({said[:160]})"
            raise ProbeError(message) from error
        except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
            message = f"ClickHouse at {where} does not answer ({error})"
            raise ProbeError(message) from error


def _grants(statements: tuple[str, ...]) -> str:
    return "".join(f"<query>{escape(statement)}</query>" for statement in statements)


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.")


def _sha256(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
