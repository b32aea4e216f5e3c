"""Columns that are not read, but change what a row means: those about money, or its status."""

from __future__ import annotations

import re
from functools import lru_cache

from .columns import COLUMNS, NO

# A column is about money if a word of its name begins or ends so.
MONEY_WORDS = (
    *("price", "rate", "cost", "fee", "charge", "surcharge", "tariff", "amount", "currency"),
    *("increment", "interval", "minimum", "min", "minute", "second", "sec", "block", "period"),
    *("round", "grace", "connect", "setup", "flagfall", "billing", "discount", "markup", "margin"),
    *("peak", "weekend", "pulse", "step"),
    *("tax", "vat", "effective", "valid", "expir", "until", "from", "start", "end", "date", "day"),
    *("begin", "activ"),
    *("eur", "usd", "gbp", "preis", "gebühr", "währung", "takt", "gültig", "precio", "tarif"),
    *("moneda", "cargo", "vigencia", "vigente", "prix", "frais", "devise", "effet", "מחיר", "מטבע"),
    *("segundo", "mínimo", "válido", "valable", "incrément", "montant"),
    *("דמי", "חיוב", "יחידת", "מינימום", "בתוקף"),
)
MONEY_ENDINGS = (  # of words without spaces, such as InitialIncrement and Verbindungsgebühr
    *("price", "rate", "cost", "fee", "charge", "currency", "increment", "interval", "block"),
    *("minimum", "date", "preis", "gebühr", "kosten", "entgelt", "takt"),
)

# A column is about the status of its rows if its name has one of these words, or of `WITHDRAWN`.
STATUS = {
    *("status", "state", "action", "operation", "change", "aktion", "zustand", "änderung"),
    *("estado", "acción", "cambio", "statut", "état", "changement"),
    *("סטטוס", "מצב", "פעולה", "שינוי"),
}
# With one of these words, it says that nobody can be called at the price of its row.
WITHDRAWN = {
    *("block", "blocked", "barred", "delete", "deleted", "deletion", "remove", "removed"),
    *("close", "closed", "disable", "disabled", "deactivate", "deactivated", "inactive"),
    *("discontinue", "discontinued", "suspend", "suspended", "withdraw", "withdrawn"),
    *("cancel", "canceled", "cancelled", "terminate", "terminated"),
    *("gesperrt", "sperren", "gelöscht", "löschen", "entfernt", "entfernen", "inaktiv"),
    *("bloqueado", "bloquear", "eliminado", "eliminar", "borrar", "borrado", "inactivo"),
    *("bloqué", "bloquer", "supprimé", "supprimer", "désactivé", "inactif", "fermé"),
    *("חסום", "נחסם", "נמחק", "מחק", "מחיקה", "הוסר"),
}
NOT_WITHDRAWN = {*NO, "n", "-", "nein", "non", "לא", "open", "active"}
DENIALS = {"not", "no", "never", "nicht", "nie", "pas", "jamais", "nunca", "לא"}
FORMER = {"previous", "old", "former"}  # of the status before this deck


def means_money(name: str) -> bool:
    """Whether a column of this name is about money, or about when it is charged."""
    return name not in COLUMNS and any(
        word.startswith(MONEY_WORDS) or word.endswith(MONEY_ENDINGS)
        for word in _words(name)
        if word != "blocked"
    )


def means_status(name: str) -> bool:
    """Whether a column of this name may say that a prefix is withdrawn."""
    words = set(_words(name))
    return words.isdisjoint(FORMER) and not words.isdisjoint(STATUS | WITHDRAWN)


@lru_cache
def is_withdrawn(cell: str, column: str) -> bool:
    """Whether a cell of such a column says that its prefix is blocked or deleted.

    It does by one of its words, unless another one denies it: “to be deleted”, unlike “not
    blocked”. In a column such as `Deleted`, anything but “no” does, a date for example.
    """
    if not WITHDRAWN.isdisjoint(_words(column)):
        return cell.strip().lower() not in NOT_WITHDRAWN
    words = set(_words(cell))
    return words.isdisjoint(DENIALS) and not words.isdisjoint(WITHDRAWN)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", text.lower()) if word]
