"""Scorers: the contract, the catalogue, and those that ship. ``mad.scorers()`` lists them."""
