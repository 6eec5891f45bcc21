"""Makes a report of logged sessions: one HTML page for people to read and print."""
