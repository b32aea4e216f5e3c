"""Real phones over SIP: third party call control (RFC 3725) on sippy (extra `sip`).

Media flows between the phones, never through here. `gateway` is the switch's side and knows no
sippy; everything else but `sdp`, `causes` and `health`, which are pure, lives in the thread that
`loop` keeps.
"""
