"""``python -m fer``: the ``fer`` command, as torchrun starts it (``torchrun -m fer train …``)."""

import sys

from fer.cli import main

if __name__ == "__main__":
    sys.exit(main())
