"""Real phones over SIP: third party call control (RFC 3725) on sippy (extra `sip`).

Media flows between the phones, never through the switch. `gateway` is the interface to
the switch; `stack`, `call`, `leg`, `user_agent` and `sippy_patches` run in the thread that `thread`
manages; `sdp`, `causes` and `health` are pure.
"""
