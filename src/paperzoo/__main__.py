"""``python -m paperzoo``."""

from paperzoo.cli import main

main()
