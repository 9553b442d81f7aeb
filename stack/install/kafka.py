"""Apache Kafka's broker and what it depends on, as jars from the Maven repository."""

import shutil
from collections.abc import Callable
from pathlib import Path

from stack.errors import InstallError
from stack.install.debian import DebianArchive
from stack.install.fetch import run_tool
from stack.install.java import Java
from stack.install.maven import ensure_maven, repository_options
from stack.install.programs import Progress, Recipe, install

VERSION = "4.4.0"
_LOG4J = "2.25.5"
_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

_POM = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>piston</groupId><artifactId>kafka-server</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId>
      <version>{_LOG4J}</version>
    </dependency>
  </dependencies>
</project>
"""


def ensure_kafka(
    programs: Path, java: Java, archive: Callable[[], DebianArchive], progress: Progress
) -> Path:
    """The folder whose `libs` hold the broker's jars.

    Raises:
        InstallError: Maven cannot be had or cannot fetch them.
    """

    def build(target: Path) -> None:
        maven = ensure_maven(programs, archive, progress)
        pom = target / "pom.xml"
        pom.write_text(_POM)
        run_tool(
            [
                str(maven), "-q", "-B", *repository_options(target), "-f", str(pom), _PLUGIN,
                f"-DoutputDirectory={target}/libs", "-DincludeScope=runtime",
            ],
            f"fetching Kafka {VERSION}",
            "check that Maven reaches its repository (settings.xml, network)",
            environment=java.maven_environment(),
            cwd=target,
        )  # fmt: skip
        shutil.rmtree(target / ".repository", ignore_errors=True)
        if not list((target / "libs").glob(f"kafka_2.13-{VERSION}.jar")):
            message = f"Maven ended well but brought no Kafka {VERSION}; check its settings.xml"
            raise InstallError(message)

    return install(programs, Recipe("kafka", VERSION, build), progress)
