"""``python -m mad_core``."""

from mad_core.cli.main import main

main()
