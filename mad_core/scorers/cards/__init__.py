"""The catalogue's shelf: a file a scorer, whose ``CARD`` says all about it. No torch here.

The files are found by being here; a new scorer is its algorithm's file and its card.
"""
