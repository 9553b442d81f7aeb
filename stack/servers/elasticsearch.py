"""Elasticsearch as one node: the search index, which can be rebuilt from the warehouse at any time.

The supervised process is Elasticsearch's own launcher. It starts the server as its child, passes signals on
and ends with it; the server ends when its launcher is gone, for it watches the pipe between them.
"""

import base64
import hashlib
import http.client
from typing import ClassVar, Final

import orjson

from stack.errors import PreflightError, ProbeError
from stack.install.everything import Programs, SearchPrograms
from stack.layout import make_private, write_private
from stack.servers.server import PortUse, Prepared, Server
from telematics.names import SEARCH_ALIAS

HEAP: Final = "256m"
"""Serves 100,000 vehicles; the process is then about 500 MB."""

_CONFIGURATION: Final = """\
cluster.name: {cluster_name}
node.name: node-1
path.logs: "{folder}/logs"
network.host: "{host}"
http.port: {port}
transport.port: {transport_port}
discovery.type: single-node
# no client without a password; nothing leaves the loopback, so nothing is encrypted
xpack.security.enabled: true
xpack.security.enrollment.enabled: false
xpack.security.http.ssl.enabled: false
xpack.security.transport.ssl.enabled: false
xpack.security.authc.password_hashing.algorithm: pbkdf2
# an index without our mapping would guess its types from the first document
action.auto_create_index: "false"
# would count what the serial collector has not yet collected, and refuse requests for garbage's sake
indices.breaker.total.use_real_memory: false
# a disk that is nearly full is told by `piston doctor`; here it would turn the index read-only
cluster.routing.allocation.disk.threshold_enabled: false
"""

_ROLES: Final = """\
{role}:
  cluster: [ "monitor", "manage_index_templates" ]
  indices:
    - names: [ "{alias}", "{alias}-*" ]
      privileges: [ "all" ]
"""

_JVM: Final = """\
-Xms{heap}
-Xmx{heap}
-XX:+UseSerialGC
# one compiler instead of two: starting takes 11 s of processor time instead of 24 s
-XX:TieredStopAtLevel=1
-XX:+ExitOnOutOfMemoryError
-XX:ErrorFile={folder}/logs/hs_err_pid%p.log
-Djava.io.tmpdir={folder}/tmp
-Djava.awt.headless=true
# would copy the built-in roles into an index whose analysis this distribution does not have
-Des.queryable_built_in_roles_enabled=false
"""

_LOGGING: Final = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1.} - %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""

_ROLE: Final = "piston"
_ITERATIONS: Final = 10_000
"""Elasticsearch's own cost for `pbkdf2`."""
_TIMEOUT_S: Final = 2.0


class Elasticsearch(Server):
    """The stack's Elasticsearch."""

    name: ClassVar[str] = "elasticsearch"
    title: ClassVar[str] = "Elasticsearch"
    group: ClassVar[str] = "search"
    start_patience_s: ClassVar[float] = 240.0  # 7 s alone on two cores, 100 s where ten others want them

    @property
    def ports(self) -> tuple[PortUse, ...]:
        """HTTP, and the transport between nodes, which cannot be switched off."""
        settings = self.settings
        return (
            PortUse(settings.search_port, "PISTON_SEARCH_PORT", settings.host),
            PortUse(settings.search_transport_port, "PISTON_SEARCH_TRANSPORT_PORT", settings.host),
        )

    @property
    def cluster_name(self) -> str:
        """What the server calls itself, by which it is known as ours."""
        return f"piston-{self.ground.identity}"

    def configuration(self) -> dict[str, str]:
        """The text of each configuration file, by its name."""
        user, password = self.settings.search_user, self.settings.search_password.get_secret_value()
        return {
            "elasticsearch.yml": _CONFIGURATION.format(
                cluster_name=self.cluster_name,
                folder=self.folder,
                host=self.settings.host,
                port=self.settings.search_port,
                transport_port=self.settings.search_transport_port,
            ),
            "jvm.options": _JVM.format(heap=HEAP, folder=self.folder),
            "log4j2.properties": _LOGGING,
            "users": f"{user}:{hash_password(password, self.ground.identity)}\n",
            "users_roles": f"{_ROLE}:{user}\n",
            "roles.yml": _ROLES.format(role=_ROLE, alias=SEARCH_ALIAS),
        }

    def prepare(self, programs: Programs) -> Prepared:
        """Write the configuration and make the folders."""
        found = _installed(programs)
        account = self.ground.account
        folders = {name: self.folder / name for name in ("config", "data", "logs", "tmp")}
        for folder in (self.folder, *folders.values()):
            make_private(folder, account.uid, account.gid)
        changed = [
            write_private(folders["config"] / name, text, account.uid, account.gid)
            for name, text in self.configuration().items()
        ]
        launcher_options = ["-XX:TieredStopAtLevel=1"]
        if found.jdk.is_ours:  # its helper for starting processes wants the C library it was built for
            launcher_options.append("-Djdk.lang.Process.launchMechanism=VFORK")
        environment = {
            "CLI_JAVA_OPTS": " ".join(launcher_options),
            "ES_JAVA_HOME": str(found.jdk.home),
            "ES_PATH_CONF": str(folders["config"]),
            "ES_TMPDIR": str(folders["tmp"]),
            "LIBFFI_TMPDIR": str(folders["tmp"]),
        }
        # the folder on the command line, by which the process is known as ours
        command = [str(found.elasticsearch / "bin/elasticsearch"), f"-Epath.data={folders['data']}/"]
        return Prepared(command, account, any(changed), environment)

    def check(self) -> str:
        """Its cluster's health, asked with our password; the cluster's name must be ours."""
        where = f"{self.settings.host}:{self.settings.search_port}"
        status, health = self._ask("/_cluster/health?timeout=1s")
        if status == http.HTTPStatus.UNAUTHORIZED:
            message = f"Elasticsearch at {where} does not let us in: is PISTON_SEARCH_PASSWORD right?"
            raise ProbeError(message)
        name = health.get("cluster_name")
        if name != self.cluster_name:
            message = (
                f"port {self.settings.search_port} is answered by another server (cluster {name!r}); "
                "set PISTON_SEARCH_PORT to a port of your own"
            )
            raise ProbeError(message)
        if health.get("status") not in ("green", "yellow"):
            message = f"Elasticsearch at {where} is {health.get('status')}: it is still reading its index"
            raise ProbeError(message)
        return f"cluster {name}, {health['status']}"

    def _ask(self, path: str) -> tuple[int, dict[str, object]]:
        host, port = self.settings.host, self.settings.search_port
        password = self.settings.search_password.get_secret_value()
        credentials = base64.b64encode(f"{self.settings.search_user}:{password}".encode()).decode()
        connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", path, headers={"Authorization": f"Basic {credentials}"})
            answer = connection.getresponse()
            document = orjson.loads(answer.read(65_536))
        except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
            message = f"Elasticsearch at {host}:{port} does not answer ({error})"
            raise ProbeError(message) from error
        finally:
            connection.close()
        return answer.status, document if isinstance(document, dict) else {}


def _installed(programs: Programs) -> SearchPrograms:
    if programs.search is None:
        message = "Elasticsearch is not installed here; set PISTON_WITH_SEARCH=true and run: piston up"
        raise PreflightError(message)
    return programs.search


def hash_password(password: str, salt_from: str) -> str:
    """A password as Elasticsearch's file of users keeps it (`pbkdf2`: HMAC-SHA-512, 32 bytes).

    The salt follows from the stack's identity, so that the file stays the same from start to start.
    """
    salt = hashlib.sha256(f"search users of {salt_from}".encode()).digest()
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, 32)
    return f"{{PBKDF2}}{_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(derived).decode()}"
