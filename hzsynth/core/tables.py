"""Reads the tables that people keep: CSV of whatever encoding, every value as text."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from hzsynth.core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def read_table(path: Path) -> "pd.DataFrame":
    """Reads a CSV table with every value as text (identifiers are text, never numbers).

    Raises:
        InputError: the file is no table, or it has no ``file_name`` column.
    """
    data = path.read_bytes()
    for encoding in ("utf-8-sig", "cp949"):
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise InputError(f"'{path}' is neither UTF-8 nor CP949 text")
    import pandas as pd  # here: every worker would wait for it, and none reads a table

    try:
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"'{path}' is not a CSV table: {error}") from error
    if "file_name" not in table.columns:
        raise InputError(f"'{path}' has no column file_name")
    return table
