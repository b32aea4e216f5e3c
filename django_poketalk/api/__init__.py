"""The REST API of the caller's side: calls, call backs, the blacklist, and the user's own phones.

`path("poketalk/api/", include("django_poketalk.api.urls"))`. No rule is here: `calls.requesting`
decides whether a call may be made, `permissions` who may do what.
"""
