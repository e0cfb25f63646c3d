"""The embedded servers as the rest of the tests use them."""

import pytest
from django.db import connection


@pytest.mark.django_db
def test_the_test_database_is_the_embedded_postgresql() -> None:
    """A test that asks for the database talks to our own server, through its private socket."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('listen_addresses'), current_database()")
        assert cursor.fetchone() == ("", "test_mdc")
