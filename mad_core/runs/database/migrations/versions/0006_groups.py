"""What belongs together: the group of an image (patient, part, lot, camera)."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("images", sa.Column("group", sa.String(length=200), nullable=True))


def downgrade() -> None:
    op.drop_column("images", "group")
