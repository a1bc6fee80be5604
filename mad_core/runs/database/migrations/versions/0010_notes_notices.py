"""What people note of a run, and whose ends each person has seen."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("runs", sa.Column("note", sa.Text(), nullable=True))
    op.create_table(
        "notices",
        sa.Column("person", sa.String(length=320), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("seen", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_notices")),
    )


def downgrade() -> None:
    op.drop_table("notices")
    op.drop_column("runs", "note")
