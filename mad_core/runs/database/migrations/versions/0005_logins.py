"""Who is who: reviewers by issuer and subject of their login, workers by boot and start of their process.

Logins were addresses until now. Who comes with a vouched one is known by issuer and subject from then on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("reviewers", sa.Column("address", sa.String(length=320), nullable=True))
    op.add_column("workers", sa.Column("machine", sa.String(length=200), nullable=True))
    op.add_column("workers", sa.Column("ticks", sa.BigInteger(), nullable=True))
    op.execute("UPDATE reviewers SET address = login")


def downgrade() -> None:
    for table, column in (("reviewers", "address"), ("workers", "machine"), ("workers", "ticks")):
        op.drop_column(table, column)
