"""Rows as `ingest.commands.repository` reads them, over the API's connections, which give dictionaries."""

from psycopg.rows import TupleRow, tuple_row

from serving.partners.repository import Connection


async def fetch_row(
    connection: Connection, statement: str, parameters: tuple[object, ...]
) -> TupleRow | None:
    """The first row of a statement."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchone()
