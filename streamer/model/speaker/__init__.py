"""What is known about voices: adaptation to a speaker, telling speakers apart, enrolment."""
