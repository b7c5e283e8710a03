"""`python -m kdtools` is the tool `kdtools`."""

from kdtools.cli.kdtools import main

if __name__ == "__main__":
    main()
