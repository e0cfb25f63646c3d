"""A local HTTP server that speaks providers' wire formats, with faults on request."""
