"""A test image may have no severity level yet."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    with op.batch_alter_table("images") as table:
        table.alter_column("level", existing_type=sa.Float(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM images WHERE level IS NULL")  # what the version before cannot hold
    with op.batch_alter_table("images") as table:
        table.alter_column("level", existing_type=sa.Float(), nullable=False)
