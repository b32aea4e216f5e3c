"""Real phones over SIP: third party call control (RFC 3725) on sippy (extra `sip`).

Media flows between the phones, never through the switch. `gateway` is the interface to the switch,
and runs in its event loop, as `addresses` does. `stack` is our SIP endpoint, `call` connects two
legs (`leg`), and `user_agent` is one dialog; these and all other modules that import sippy run in
the thread that `thread` manages. `sdp`, `causes`, `session` and `health` are pure.
"""
