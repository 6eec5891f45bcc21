"""These are the exceptions of streamer; each has the exit code of the command line."""


class StreamerError(Exception):
    """Anything that streamer explains to its user in one line instead of a traceback."""

    exit_code = 1


class OutputError(StreamerError):
    """A result could not be written: the disk is full, the file is read-only, or not ours."""


class DeliveryError(StreamerError):
    """An alert could not be delivered.

    Attributes:
        worth_retrying: True where a later attempt may succeed.
        retry_after_s: Seconds the receiver asks to wait before the next attempt; None if it does
            not say.
    """

    def __init__(
        self, text: str, *, worth_retrying: bool = True, retry_after_s: float | None = None
    ) -> None:
        super().__init__(text)
        self.worth_retrying = worth_retrying
        self.retry_after_s = retry_after_s


class ConfigError(StreamerError):
    """A flag, an environment variable or a configuration file has a value that is not allowed."""

    exit_code = 2


class InputError(StreamerError):
    """An audio device or a recording cannot be read."""

    exit_code = 3


class InputWarning(UserWarning):
    """A recording has a fault, but was read."""


class DeviceLostError(InputError):
    """A device that was being read stopped delivering."""


class NoSpeechError(InputError):
    """There is no speech in what was to be classified."""


class ModelError(StreamerError):
    """A model bundle is missing, damaged, of another kind or of a newer format."""

    exit_code = 4
