"""`python -m dropspot_local`: the server in the foreground."""

from dropspot_local.server import main

if __name__ == "__main__":
    main()
