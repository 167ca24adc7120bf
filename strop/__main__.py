"""The command line's entry point: `strop` and `python -m strop`."""

from __future__ import annotations

import sys

from strop.hidden import hidden_packages


def main() -> None:
    """Run the command line, or say in one line which file hides a package of ours."""
    if line := hidden_packages():
        sys.stderr.write(f"error: {line}\n")
        sys.exit(2)
    from strop.app import main as run_app

    run_app()


if __name__ == "__main__":
    main()
