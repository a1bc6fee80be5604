"""Digest of the bytes of an image's mask: what was imported is what is measured."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("images", sa.Column("mask_hash", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("images", "mask_hash")
