"""Values as a reader wants to see them: few digits, units, and an en dash where there is nothing.

`number` and `words` take what a data source happens to say and give the wanted kind or its empty form.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

__all__ = [
    "DASH",
    "amount",
    "count",
    "duration",
    "join",
    "mebibytes",
    "number",
    "percent",
    "points",
    "shorten",
    "significant",
    "spaced",
    "spread",
    "visible",
    "words",
]

DASH = "–"
_SPACE = "\u00a0"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u2028\u2029")


def percent(share: Any, digits: int = 1) -> str:
    """A fraction as a percentage.

    Example:
        >>> percent(0.9716).replace("\\xa0", " "), percent(None), percent(0.00031).replace("\\xa0", " ")
        ('97.2 %', '–', '0.031 %')
    """
    value = number(share)
    if value is None:
        return DASH
    if 0 < abs(value) < 0.5 * 10 ** -(digits + 2):
        return significant(100 * value, 2) + f"{_SPACE}%"
    return f"{100 * value:.{digits}f}{_SPACE}%"


def spaced(text: str) -> str:
    """Text of a record with its percentages as the page writes them.

    Example:
        >>> spaced("best: 99.7% of 288").replace("\xa0", " ")
        'best: 99.7 % of 288'
    """
    return re.sub(r"(?<=\d)%", "\u00a0%", text)


def points(difference: Any) -> str:
    """A difference of two fractions in percentage points, without its sign.

    Example:
        >>> points(-0.0231)
        '2.3 points'
    """
    value = number(difference)
    if value is None:
        return DASH
    text = f"{abs(100 * value):.1f}"
    return f"{text} point" + ("" if text == "1.0" else "s")


def significant(value: Any, digits: int = 3) -> str:
    """A number with so many significant digits, in plain digits where those stay short.

    Example:
        >>> [significant(v) for v in (1.18432, 0.1444, 12345.6, 0.00022, 3.1e9, -0.5)]
        ['1.18', '0.144', '12,300', '2.2×10⁻⁴', '3.1×10⁹', '−0.500']
    """
    plain = number(value)
    if plain is None:
        return DASH
    if plain == 0:
        return "0"
    rounded = float(f"{plain:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(rounded)))
    if -4 < exponent < 6:
        return f"{rounded:,.{max(0, digits - 1 - exponent)}f}".replace("-", "−")
    mantissa = f"{rounded / 10**exponent:.{digits - 1}f}".replace("-", "−")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}×10{str(exponent).translate(_SUPERSCRIPT)}"


def amount(value: Any) -> str:
    """A large count in thousands, millions or billions.

    Example:
        >>> [amount(v).replace("\\xa0", " ") for v in (812, 12810, 3412345, 2.5e9)]
        ['812', '12.8 k', '3.41 M', '2.5 G']
    """
    plain = number(value)
    if plain is None:
        return DASH
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(plain) >= 0.9995 * size:
            short = f"{float(f'{plain / size:.2e}'):g}"
            return f"{short}{_SPACE}{unit}"
    return f"{plain:,.0f}"


def count(value: Any) -> str:
    """A whole number with separators.

    Example:
        >>> count(12345)
        '12,345'
    """
    plain = number(value)
    return DASH if plain is None else f"{plain:,.0f}"


def duration(seconds: Any) -> str:
    """A time span.

    Example:
        >>> [duration(v).replace("\\xa0", " ") for v in (0.0421, 3.456, 75, 7384)]
        ['42 ms', '3.5 s', '1 min 15 s', '2 h 03 min']
    """
    value = number(seconds)
    if value is None:
        return DASH
    if value < 0.9995:
        return f"{significant(1000 * value, 2)}{_SPACE}ms"
    if value < 59.95:
        return f"{value:.1f}{_SPACE}s"
    if value < 3599.5:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes}{_SPACE}min {rest:02d}{_SPACE}s" if rest else f"{minutes}{_SPACE}min"
    hours, minutes = divmod(round(value / 60), 60)
    return f"{hours:,}{_SPACE}h {minutes:02d}{_SPACE}min"


def mebibytes(size: Any) -> str:
    """A number of bytes in MiB.

    Example:
        >>> mebibytes(432013312).replace("\\xa0", " ")
        '412 MiB'
    """
    value = number(size)
    if value is None:
        return DASH
    value /= 2**20
    return f"{significant(value, 2) if value < 10 else f'{value:,.0f}'}{_SPACE}MiB"


def spread(values: Iterable[Any], scale: float = 1.0, digits: int = 1) -> str:
    """Mean ± sample standard deviation; the bare mean for a single value.

    Example:
        >>> spread([0.71, 0.72, 0.73], scale=100), spread([0.5]), spread([])
        ('72.0 ± 1.0', '0.5', '–')
    """
    known = [value * scale for value in map(number, values) if value is not None]
    if not known:
        return DASH
    mean = sum(known) / len(known)
    if len(known) == 1:
        return f"{mean:.{digits}f}"
    deviation = math.sqrt(sum((value - mean) ** 2 for value in known) / (len(known) - 1))
    return f"{mean:.{digits}f} ± {deviation:.{digits}f}"


def join(items: Iterable[str]) -> str:
    """A list in words.

    Example:
        >>> join(["a", "b", "c"])
        'a, b and c'
    """
    listed = list(items)
    return " and ".join([", ".join(listed[:-1]), listed[-1]]) if len(listed) > 1 else "".join(listed)


def shorten(text: str, most: int) -> str:
    """``text`` in at most so many characters, cut in its middle.

    Example:
        >>> shorten("encoder.layers.11.attention", 13)
        'encode…ention'
    """
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def visible(text: str) -> str:
    """``text`` with what a page cannot hold, or what would reorder it, written out.

    Bytes of a file name that are not UTF-8 arrive as lone surrogates and are shown as ``\\xNN``.

    Example:
        >>> print(visible("caf\\udce9\\x00"))
        caf\\xe9\\x00
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    point = ord(character)
    if 0xDC80 <= point <= 0xDCFF:
        return f"\\x{point - 0xDC00:02x}"
    if character in _REORDERING or unicodedata.category(character) in ("Cc", "Cs") or point & 0xFFFE == 0xFFFE:
        return f"\\x{point:02x}" if point < 256 else f"\\u{point:04x}"
    return character


def number(value: Any) -> float | None:
    """``value`` if it is a finite number, else None.

    Example:
        >>> number(3), number(True), number("3"), number(float("nan"))
        (3.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        plain = float(value)
    except OverflowError:
        return None
    return plain if math.isfinite(plain) else None


def words(value: Any) -> str:
    """``value`` if it is text, a number's plain form, else the empty string.

    Example:
        >>> words("cat"), words(3), words(None), words({})
        ('cat', '3', '', '')
    """
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
