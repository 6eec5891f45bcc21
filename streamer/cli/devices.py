"""``streamer devices``: list the input devices."""

from streamer.cli.parser import CommandParser, Namespace

NAME = "devices"
SUMMARY = "list the input devices"
EXAMPLE = "streamer devices"


def add_arguments(parser: CommandParser) -> None:
    """Add nothing: the command has no arguments."""
    del parser


def execute(args: Namespace) -> int:
    """Print a table of the devices."""
    from rich.console import Console
    from rich.table import Table

    from streamer.audio.devices import input_devices, native_stderr_muted

    del args
    with native_stderr_muted():
        devices = input_devices()
    if not devices:
        print("no input device")
        return 0
    table = Table("index", "name", "host API", "channels", "default rate", "")
    for device in devices:
        rate, mark = f"{device.sample_rate} Hz", "default" if device.default else ""
        if device.source is not None and device.source.default:
            mark = "what the default hears"
        table.add_row(
            str(device.index), device.name, device.host_api, str(device.channels), rate, mark
        )
    Console().print(table)
    return 0
