"""`python -m bridge` is `device-bridge`."""

from bridge.cli.main import main

if __name__ == "__main__":
    main()
