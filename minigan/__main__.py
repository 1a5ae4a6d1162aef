"""``python -m minigan`` and the ``minigan`` command."""


def main() -> None:
    """Run the command line and exit with its code."""
    from minigan.cli import program

    program.main(prog_name="minigan")


if __name__ == "__main__":
    main()
