"""The URLs of the caller's side: `path("calls/", include("django_poketalk.urls"))`.

Keep the prefix short. It is part of each EventURL, which may have 255 characters at most.
"""

from django.urls import path

from .views import calls, events, phones

app_name = "poketalk"

urlpatterns = [
    path("events/<str:token>/", events.event, name="event"),
    path("place/", calls.place, name="place"),
    path("my-phones/", phones.phones, name="phones"),
    path("my-phones/<int:pk>/", phones.phone, name="phone"),
    path("my-phones/<int:pk>/default/", phones.make_default, name="phone-default"),
    path("my-phones/<int:pk>/remove/", phones.remove, name="phone-remove"),
    path("my-phones/<int:pk>/verify/", phones.verify, name="phone-verify"),
    path("my-number/", phones.own_number, name="own-number"),
    path("<int:pk>/", calls.call, name="call"),
    path("<int:pk>/status/", calls.status, name="call-status"),
    path("<int:pk>/hang-up/", calls.hang_up, name="hang-up"),
]
