"""Tests for what a project adds: `backends` has a suite that any backend passes. Requires pytest
and pytest-django.
"""

import pytest

pytest.register_assert_rewrite("django_poketalk.testing.backends")
