"""Read what providers answer when they are asked about an instrument itself."""
