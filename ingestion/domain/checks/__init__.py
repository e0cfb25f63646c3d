"""Quality checks: pure, one a file, each with its thresholds and their reasons as data."""
