"""Label audit: reviewers, the record of events, and where their images are."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "reviewers",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("login", sa.String(length=320), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reviewers")),
        sa.UniqueConstraint("login", name=op.f("uq_reviewers_login")),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("dataset_id", sa.String(length=16), nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("subset", sa.String(length=200), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("dataset_version", sa.String(length=32), nullable=False),
        sa.Column("reviewer", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("before", sa.Float(precision=53), nullable=True),
        sa.Column("after", sa.Float(precision=53), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("region", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("other", sa.String(length=32), nullable=True),
        sa.Column("other_hash", sa.String(length=64), nullable=False),
        sa.Column("other_path", sa.Text(), nullable=False),
        sa.Column("scores_visible", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Float(precision=53), nullable=False),
        sa.Column("time", sa.Float(precision=53), nullable=False),
        sa.Column("undoes", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_table(
        "audit_places",
        sa.Column("event_id", sa.String(length=32), nullable=False),
        sa.Column("dataset_id", sa.String(length=16), nullable=False),
        sa.Column("image_id", sa.String(length=32), nullable=False),
        sa.Column("other", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["audit_events.id"], name=op.f("fk_audit_places_event_id")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_audit_places_dataset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", "dataset_id", name=op.f("pk_audit_places")),
    )
    op.create_index(op.f("ix_images_content_hash"), "images", ["content_hash"])
    op.create_index(op.f("ix_audit_events_reviewer_time"), "audit_events", ["reviewer", "time"])
    op.create_index(op.f("ix_audit_places_dataset_id_image_id"), "audit_places", ["dataset_id", "image_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_images_content_hash"), "images")
    op.drop_index(op.f("ix_audit_places_dataset_id_image_id"), "audit_places")
    op.drop_table("audit_places")
    op.drop_table("audit_events")
    op.drop_table("reviewers")
