"""From events to the screen."""
