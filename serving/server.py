"""Runs the application under uvicorn, with logs that hold no personal data."""

import logging
import sys

import structlog
import uvicorn

from serving.app import create_app
from serving.oauth.keys import load_keys
from telematics.settings import Settings


def configure_logging(level: str) -> None:
    """One JSON object a line on standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )


def serve(settings: Settings) -> bool:
    """Serve until a signal ends it; returns whether it ever started.

    Raises:
        SigningKeyError: the signing key is missing or wrong.
    """
    load_keys(settings)  # a wrong key is a sentence at the start, not a traceback from the lifespan
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.api_host,
            port=settings.api_port,
            access_log=False,  # it would write paths, and paths hold VINs
            log_level=settings.log_level,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )
    try:
        server.run()
    except SystemExit:
        # uvicorn ends the process where its port is taken; the caller has a sentence for that
        return False
    return server.started
