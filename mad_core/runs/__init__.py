"""Runs: the store, the queue, the worker. ``mad.runs()`` lists those in the store."""
