"""`python -m hansa.cli`."""

import sys

from hansa.cli import main

if __name__ == "__main__":
    sys.exit(main())
