"""Fitted detectors as files that other programs run, each with the proof that it answers as the app does."""
