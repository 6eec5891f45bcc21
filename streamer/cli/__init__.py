"""The command line: it reads arguments, calls use cases, prints, and returns exit codes."""
