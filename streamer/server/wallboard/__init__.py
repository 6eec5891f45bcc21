"""The wallboard shows the present state of all calls on one page."""
