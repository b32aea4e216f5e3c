"""The query API's URLs, in the service's name space."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("calls/", views.CallListView.as_view(), name="calls"),
    path("calls/<int:pk>/", views.CallDetailView.as_view(), name="call"),
]
