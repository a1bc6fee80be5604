"""Cut-points between levels, kept with a run."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "cuts",
        sa.Column("run_id", sa.String(length=16), nullable=False),
        sa.Column("subset", sa.String(length=200), nullable=False),
        sa.Column("levels", sa.JSON(), nullable=False),
        sa.Column("cuts", sa.JSON(), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_cuts_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "subset", name=op.f("pk_cuts")),
    )


def downgrade() -> None:
    op.drop_table("cuts")
