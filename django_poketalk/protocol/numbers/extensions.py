"""Extensions behind a phone number, in the words and signs that people write before them."""

from __future__ import annotations

import re

MAX_EXTENSION = 11  # digits

# As address books of many languages have them: English, German, French, Spanish, Portuguese,
# Italian, Dutch, Polish, Turkish, Russian, Hebrew, Japanese, Chinese and Korean.
EXTENSION_WORDS = (
    "extension|extensión|extensao|extensão|extn|ext|durchwahl|nebenstelle|apparat|app|dw|nst"
    "|poste|anexo|interno|intern|int|ramal|toestel|tst|wewn|wew|dahili|добавочный|доб|שלוחה"
    "|内線|内线|內線|내선"
)
_EXTENSION = re.compile(
    rf"(?<=[0-9\s).\-])\s*(?:;ext=|[;,]?\s*(?:{EXTENSION_WORDS})[\s.:=#]*|[x#~]\s*|,+)(?P<digits>[0-9]{{1,{MAX_EXTENSION}}})#?$",
    re.IGNORECASE,
)


_MARK = re.compile(r"[x#~,][\s,]*[0-9]+#?$", re.IGNORECASE)


def is_marked(text: str) -> bool:
    """Whether the extension follows a mark such as `x`, which may also stand for a digit."""
    return bool(_MARK.search(text)) and not re.search(
        f"(?:{EXTENSION_WORDS})[^0-9]*[0-9]+#?$", text, re.I
    )


def split_extension(text: str) -> tuple[str, str]:
    """The text before the extension, and the extension's digits; the text and "" without one."""
    found = _EXTENSION.search(text)
    if found is None:
        return text, ""
    return text[: found.start()].rstrip(" ,;("), found["digits"]
