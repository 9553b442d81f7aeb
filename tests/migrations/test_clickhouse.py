from migrations.clickhouse import apply


def test_every_migration_has_a_way_up_and_a_way_down_and_numbers_without_gaps() -> None:
    known = apply.known()
    assert [migration.number for migration in known] == list(range(1, len(known) + 1))
    assert all(migration.up and migration.down for migration in known)
