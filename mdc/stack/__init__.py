"""The embedded PostgreSQL and Valkey, and the supervisor of all local processes."""
