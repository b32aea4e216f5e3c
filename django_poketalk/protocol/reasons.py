"""Which of its reasons response code 90 had: a header of the response that is ours. Clients that do
not know it ignore it.
"""

from __future__ import annotations

HEADER = "X-Poketalk-Reason"

NO_RATE = "no_rate"
NO_FUNDS = "no_funds"
LIVE_CALLS = "live_calls"
CALLS_PER_SECOND = "calls_per_second"
SPEND_PER_DAY = "spend_per_day"
REASONS = (NO_RATE, NO_FUNDS, LIVE_CALLS, CALLS_PER_SECOND, SPEND_PER_DAY)
