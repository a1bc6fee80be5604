"""Datasets: reading, checking and fetching them. ``mad.datasets()`` lists those in the store."""
