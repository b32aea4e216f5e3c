"""The query API's URLs, in the service's namespace."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("balance/", views.BalanceView.as_view(), name="balance"),
    path("calls/", views.CallListView.as_view(), name="calls"),
    path("calls/<str:pk>/", views.CallDetailView.as_view(), name="call"),
    path("calls/<str:pk>/hang-up/", views.HangUpView.as_view(), name="hang-up"),
]
