"""`python -m checker` is `phasegate`."""

from checker.cli import main

if __name__ == "__main__":
    main()
