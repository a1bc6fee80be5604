"""The report: any set of runs as one HTML file that needs nothing else. ``mad.report(runs)`` writes it."""
