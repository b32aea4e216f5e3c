"""A project that forgot to include our URLs."""

urlpatterns: list[object] = []
