"""Search: what changed of a partner's grants since the search index read them.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# One for each way in which a grant can have changed since a moment: a partner may have 100,000 grants, and
# each search asks for those few (serving.consent.repository).
INDEXES = {
    "grants_by_number": "grants (client_id, grant_id)",
    "grants_by_begin": "grants (client_id, granted_at)",
    "grants_by_revocation": "grants (client_id, revoked_at) where revoked_at is not null",
    "grants_by_expiry": "grants (client_id, expires_at) where expires_at < 'infinity'",
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.execute(f"create index {name} on {columns}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"drop index {name}")
