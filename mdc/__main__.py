"""Run the command as `python -m mdc`."""

from mdc.cli.main import main

if __name__ == "__main__":
    main()
