"""The exceptions, each with the exit code of the command line."""


class StreamerError(Exception):
    """Anything that streamer explains to its user in one line instead of a traceback."""

    exit_code = 1


class OutputError(StreamerError):
    """A result could not be written: the disk is full, the file is read-only, or not ours."""


class DeliveryError(StreamerError):
    """Nobody took an alert.

    Attributes:
        worth_retrying: True where that may change.
        retry_after_s: How long the receiver asks to be left alone before; None if it did not say.
    """

    def __init__(
        self, text: str, *, worth_retrying: bool = True, retry_after_s: float | None = None
    ) -> None:
        super().__init__(text)
        self.worth_retrying = worth_retrying
        self.retry_after_s = retry_after_s


class ConfigError(StreamerError):
    """A flag, an environment variable or a configuration file says what is not allowed."""

    exit_code = 2


class InputError(StreamerError):
    """An audio device or a recording cannot be read."""

    exit_code = 3


class InputWarning(UserWarning):
    """Something is amiss with a recording, and it was read all the same."""


class DeviceLostError(InputError):
    """A device that was being read stopped delivering."""


class NoSpeechError(InputError):
    """There is no speech in what was to be classified."""


class ModelError(StreamerError):
    """A model bundle is missing, damaged, foreign or of a newer format."""

    exit_code = 4
