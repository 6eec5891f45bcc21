"""Speakers: adaptation, clustering, enrolment."""
