"""``python -m app.cli`` is ``voztaxi``."""

from app.cli import main

main()
