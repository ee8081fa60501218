"""`python -m lyncgate` is `lyncgate`."""

from lyncgate.cli.main import main

if __name__ == "__main__":
    main()
