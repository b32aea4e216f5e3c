"""The URLs of the caller's side: `path("calls/", include("django_poketalk.urls"))`.

Keep the prefix short. It is part of each EventURL, which may have 255 characters at most.
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
