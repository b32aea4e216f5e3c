"""The REST API of the caller's side: calls, the blacklist, and the user's own number, as JSON.

`path("poketalk/api/", include("django_poketalk.api.urls"))`. No rule is here: `calls.requesting`
decides whether a call may be made, `permissions` who may do what.
"""
