"""Kafka as one KRaft node: broker and controller in one process, sized for two cores."""

import base64
import re
import socket
import struct
import uuid
from typing import ClassVar, Final

from stack.errors import ProbeError, StartError
from stack.install.everything import Programs
from stack.layout import make_private, write_private
from stack.servers.server import SERVER_PATH, PortUse, Prepared, Server

_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.quorum.bootstrap.servers={host}:{controller_port}
log.dirs={logs}
auto.create.topics.enable=false
# one broker: the internal topics cannot have replicas, and a few partitions are enough
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
num.network.threads=2
num.io.threads=4
# the default of 128 MiB would be taken from the heap at the start
log.cleaner.dedupe.buffer.size=8388608
# a broker that was killed comes back when its old registration has lapsed: 4 s instead of 12 s
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# groups: a dead consumer's partitions move on after 6 s instead of 45 s
group.initial.rebalance.delay.ms=0
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=500
group.consumer.min.session.timeout.ms=6000
group.consumer.session.timeout.ms=6000
"""

_LOGGING: Final = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %-5p %c{1} - %m%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
"""

_JVM: Final = (
    "-Xms64m",
    "-Xmx192m",  # 150 to 220 MB resident serve 300,000 messages/s
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)


class Kafka(Server):
    """The stack's Kafka broker."""

    name: ClassVar[str] = "kafka"
    title: ClassVar[str] = "Kafka"

    @property
    def ports(self) -> tuple[PortUse, ...]:
        """Broker and controller."""
        return (
            PortUse(self.settings.kafka_port, "PISTON_KAFKA_PORT", self.settings.host),
            PortUse(self.settings.kafka_controller_port, "PISTON_KAFKA_CONTROLLER_PORT", self.settings.host),
        )

    def properties(self) -> str:
        """The text of server.properties."""
        return _PROPERTIES.format(
            host=self.settings.host,
            port=self.settings.kafka_port,
            controller_port=self.settings.kafka_controller_port,
            logs=self.folder / "logs",
        )

    def cluster_id(self) -> str | None:
        """The cluster's id as the data folder has it, None before the first start."""
        try:
            text = (self.folder / "logs" / "meta.properties").read_text()
        except FileNotFoundError:
            return None
        found = re.search(r"^cluster\.id=(\S+)$", text, re.MULTILINE)
        return found[1] if found else None

    def prepare(self, programs: Programs) -> Prepared:
        """Write the configuration and format the log folder if it is new."""
        account = self.ground.account
        make_private(self.folder, account.uid, account.gid)
        configuration = self.folder / "server.properties"
        logging = self.folder / "log4j2.properties"
        is_changed = write_private(configuration, self.properties(), account.uid, account.gid)
        is_changed |= write_private(logging, _LOGGING, account.uid, account.gid)
        java = [str(programs.java.executable), f"-Dlog4j2.configurationFile={logging}"]
        classes = ["-cp", f"{programs.kafka}/libs/*"]
        if self.cluster_id() is None:
            format_command = [
                *java, "-Xmx128m", "-XX:TieredStopAtLevel=1", *classes, "kafka.tools.StorageTool",
                "format", "--standalone", "-t", _new_cluster_id(), "-c", str(configuration),
            ]  # fmt: skip
            done = account.run(format_command, {"PATH": SERVER_PATH, "LC_ALL": "C.UTF-8"})
            if done.returncode != 0:
                message = f"Kafka could not format {self.folder}/logs: {done.stderr.strip()[-300:]}"
                raise StartError(message)
        command = [*java, *_JVM, *classes, "kafka.Kafka", str(configuration)]
        return Prepared(command, account, is_changed)

    def check(self) -> str:
        """ApiVersions, then DescribeCluster, whose cluster id must be the data folder's."""
        found = describe_cluster(self.settings.host, self.settings.kafka_port)
        if found != self.cluster_id():
            message = (
                f"port {self.settings.kafka_port} is answered by another Kafka cluster ({found}); "
                "set PISTON_KAFKA_PORT to a port of your own"
            )
            raise ProbeError(message)
        return f"cluster {found}"


def _new_cluster_id() -> str:
    # Kafka's ids are 22 characters of URL-safe base64; one that begins with a dash would be read as an option
    return "p" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


_API_VERSIONS, _DESCRIBE_CLUSTER = 18, 60
_TIMEOUT_S = 1.5


def describe_cluster(host: str, port: int) -> str:
    """The id of the cluster that answers there, asked by Kafka's protocol without a client library.

    A TCP connection alone succeeds seconds before the broker serves anybody. DescribeCluster version 0
    (KIP-700): flexible request header 2 and response header 1, compact strings.

    Raises:
        ProbeError: no broker answers.
    """
    try:
        with socket.create_connection((host, port), _TIMEOUT_S) as connection:
            connection.settimeout(_TIMEOUT_S)
            # header 1: api key, version, correlation id, null client id
            answer = _ask(connection, struct.pack(">hhih", _API_VERSIONS, 0, 1, -1))
            correlation_id, error_code = struct.unpack_from(">ih", answer)
            if (correlation_id, error_code) != (1, 0):
                message = f"Kafka at {host}:{port} answers ApiVersions with error {error_code}"
                raise ProbeError(message)
            # header 2 ends with no tags (0); body: include_cluster_authorized_operations false, no tags
            request = struct.pack(">hhih", _DESCRIBE_CLUSTER, 0, 2, -1) + b"\0" + b"\0\0"
            answer = _ask(connection, request)
            return parse_cluster_id(answer)
    except (OSError, struct.error, IndexError) as error:
        message = f"Kafka at {host}:{port} does not answer ({error})"
        raise ProbeError(message) from error


def parse_cluster_id(answer: bytes) -> str:
    """The cluster id in a DescribeCluster version 0 response, from the correlation id on.

    Raises:
        ProbeError: the broker answered with an error.
        IndexError: the response is cut short.
    """
    # correlation id (4), tags (1), throttle time (4), error code (2), error message, cluster id
    (error_code,) = struct.unpack_from(">h", answer, 9)
    if error_code != 0:
        message = f"Kafka answers DescribeCluster with error {error_code}"
        raise ProbeError(message)
    position = 11
    message_length = answer[position]  # an unsigned varint, length + 1, 0 for null; short here
    position += 1 + max(0, message_length - 1)
    length = answer[position] - 1
    return answer[position + 1 : position + 1 + length].decode("ascii")


def _ask(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(struct.pack(">i", len(request)) + request)
    (length,) = struct.unpack(">i", _exactly(connection, 4))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            message = "the connection was closed"
            raise ConnectionError(message)
        received += part
    return received
