"""Runs a program in the environment that this runs in: ``python -m cachingclient.environments.run PROGRAM...``."""

import os
import sys

if __name__ == "__main__":
    os.execvp(sys.argv[1], sys.argv[1:])
