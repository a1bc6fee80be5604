"""``python -m mad_core``."""

from mad_core.cli import main

main()
