"""The caller's addresses: `path("calls/", include("django_poketalk.urls"))`, or another prefix.

The event address is part of each EventURL, of which the protocol allows 255 characters in all.
"""

from django.urls import path

from .views import calls, events

app_name = "poketalk"

urlpatterns = [
    path("events/<str:token>/", events.event, name="event"),
    path("place/", calls.place, name="place"),
    path("my-number/", calls.own_number, name="own-number"),
    path("<int:pk>/", calls.call, name="call"),
    path("<int:pk>/status/", calls.status, name="call-status"),
    path("<int:pk>/hang-up/", calls.hang_up, name="hang-up"),
]
