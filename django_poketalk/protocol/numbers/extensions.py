"""Extensions behind a phone number, in the words and signs that people write before them."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_EXTENSION = 11  # digits

# As address books have them, by language.
_WORDS = (
    "extension|extn|ext",  # English
    "durchwahl|nebenstelle|nebenst|apparat|app|dw|nst",  # German
    "poste",  # French
    "extensión|anexo|interno",  # Spanish
    "extensão|extensao|ramal|r\\.",  # Portuguese
    "interno|interior|intern|int",  # Italian, Romanian
    "toestel|tst",  # Dutch
    "anknytning|ankn|lokalnummer|lokalnr|lokal|lok\\.|linje",  # Swedish, Danish, Norwegian
    "alanumero|alanro",  # Finnish
    "wewnętrzny|wewn|wew",  # Polish
    "klapka|linka|kl\\.",  # Czech, Slovak
    "mellék|mell\\.",  # Hungarian
    "εσωτερικ[όο]|εσωτ",  # Greek
    "добавочный|доб|внутренний|внутр|вн\\.",  # Russian
    "dahili",  # Turkish
    "שלוחה|של\\.",  # Hebrew
    "تحويلة|داخل[یي]",  # Arabic, Persian
    "内線|内线|內線|내선|转|轉|分机|分機",  # Japanese, Chinese, Korean
)
EXTENSION_WORDS = "|".join(_WORDS)
#: What may stand between such a word and the digits besides spaces: `ext.: 9`, `DW-12`, `n° 12`.
EXTENSION_SIGNS = r"[.:=\#\-]|n[°º]|no\.|nr\.|№"
_EXTENSION = re.compile(
    rf"""
    (?<=[0-9\s).\-])\s{{0,4}}
    (?:
        ;ext=
        |[;,]?\s{{0,4}}[(\[]?\s{{0,4}}(?:{EXTENSION_WORDS})(?:\s|{EXTENSION_SIGNS}){{0,6}}
        |(?P<mark>x\.?\s{{0,4}}|\#\s{{0,4}}|,+)
    )
    (?P<digits>[0-9]+)[)\]]?\#?$
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Split(NamedTuple):
    """The text before an extension, and the extension's digits, "" without one. `mark` is what
    stands before the digits if it is not a word: `x`, `#` or commas. It may mean other things.
    """

    text: str
    extension: str = ""
    mark: str = ""


def split_extension(text: str) -> Split:
    """The text without the extension behind it, and the extension. Its length is not checked."""
    found = _EXTENSION.search(text)
    if found is None:
        return Split(text)
    head = text[: found.start()].rstrip(" ,;(")
    return Split(head, found["digits"], (found["mark"] or "").strip())
