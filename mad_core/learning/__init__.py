"""Severity learned from a few grades: features and grades in, order, levels and reasons out. Pure numpy and scipy."""
