"""Alembic environment: the caller hands over an open connection in `config.attributes`."""

from alembic import context


def run() -> None:
    """Run the migrations on the caller's connection, all in one transaction."""
    context.configure(
        connection=context.config.attributes["connection"],
        transaction_per_migration=False,
        version_table="alembic_version",
    )
    with context.begin_transaction():
        context.run_migrations()


run()
