"""The report: logged sessions as one HTML page that people read and print."""
