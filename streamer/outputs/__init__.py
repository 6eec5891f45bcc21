"""Where results go: the CSV log, lines of JSON, plain lines."""
