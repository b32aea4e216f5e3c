"""The URLs of the caller's side: `path("poketalk/", include("django_poketalk.urls"))`.

Keep the prefix short. It is part of each EventURL, which may have 255 characters at most.
"""

from django.urls import path

from django_poketalk.shared.installed import require_app

require_app("django_poketalk", urls=__name__)  # before the models are imported

from .views import (  # noqa: E402
    board,
    call_backs,
    calls,
    current,
    dial,
    events,
    my_calls,
    phones,
    webhooks,
    wrap_ups,
)

app_name = "poketalk"

urlpatterns = [
    path("events/<str:token>/", events.event, name="event"),
    path("webhooks/<str:alias>/", webhooks.webhook, name="webhook"),
    path("place/", calls.place, name="place"),
    path("dial/", dial.dial, name="dial"),
    path("current/", current.current, name="current"),
    path("history/", current.history, name="history"),
    path("my-phones/", phones.phones, name="phones"),
    path("my-phones/<int:pk>/", phones.phone, name="phone"),
    path("my-phones/<int:pk>/default/", phones.make_default, name="phone-default"),
    path("my-phones/<int:pk>/remove/", phones.remove, name="phone-remove"),
    path("my-phones/<int:pk>/verify/", phones.verify, name="phone-verify"),
    path("my-number/", phones.own_number, name="own-number"),
    path("board/", board.rows, name="board"),
    path("my-calls/", my_calls.my_calls, name="my-calls"),
    path("call-backs/add/", call_backs.add, name="call-back-add"),
    path("call-backs/<int:pk>/", call_backs.call_back, name="call-back"),
    path("call-backs/<int:pk>/done/", call_backs.done, name="call-back-done"),
    path("call-backs/<int:pk>/remove/", call_backs.remove, name="call-back-remove"),
    path("<int:pk>/", calls.call, name="call"),
    path("<int:pk>/wrap-up/", wrap_ups.wrap_up, name="wrap-up"),
    path("<int:pk>/try-again/", wrap_ups.try_again, name="try-again"),
    path("<int:pk>/schedule/", call_backs.schedule, name="schedule"),
    path("<int:pk>/status/", calls.status, name="call-status"),
    path("<int:pk>/hang-up/", calls.hang_up, name="hang-up"),
]
