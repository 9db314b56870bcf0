"""The figures of README.md: each of them must be in bench/RESULTS.md or in a manual page.

F1  A comment before a table names the row of RESULTS.md for each row of the table:
        <!-- figures
        LABEL = HEADING / ROW
        -->
    HEADING is the beginning of a heading of RESULTS.md. The cells are taken from the columns of the same name.
    refreshed() writes them; bench/run --publish calls it.
F2  Any other number must be in a manual page or in RESULTS.md with the same unit behind it, or be a cell of RESULTS.md.
    A cell may be rounded, but not to a whole number.
"""

import re

NOTE = re.compile(r"<!-- figures\n(.*?)\n-->\n((?:\|[^\n]*\n)+)", re.S)
NUMBER = re.compile(r"(?<![\w.+/-])(\d[\d,]*(?:\.\d+)?(?:/\d+)?)"
                    r"(?:[  ]?(%|ns|µs|ms|s|[KMG]iB|KB|bytes?|bits?|times)(?!\w))?(?![\w/])")


def cells(line):
    return [c.strip() for c in line.strip().strip("|").split("|")]


def tables(text):
    """[(heading, column names, [cells])]"""
    found, heading, rows = [], "", None
    for line in text.split("\n"):
        if line.startswith("#"):
            heading, rows = line.lstrip("# "), None
        elif not line.startswith("|"):
            rows = None
        elif rows is None:
            rows = []
            found.append((heading, cells(line), rows))
        elif not line.startswith("|---"):
            rows.append(cells(line))
    return found


def row_of(results, place):
    """{column: cell} of "HEADING / ROW" in RESULTS.md, or None."""
    heading, _, label = place.partition(" / ")
    for title, columns, rows in tables(results):
        if title.startswith(heading):
            for row in rows:
                if row[0] == label:
                    return dict(zip(columns, row))
    return None


def wanted(note, results):
    """({label: row of RESULTS.md}, [complaints]) of a comment."""
    rows, wrong = {}, []
    for line in note.split("\n"):
        label, _, place = line.partition(" = ")
        rows[label.strip()] = row_of(results, place.strip())
        if rows[label.strip()] is None:
            wrong.append("RESULTS.md has no row '%s'" % place.strip())
    return rows, wrong


def plain(cell):
    """The cell's value, without emphasis and spread."""
    return re.sub(r" \(\d+ %\)$", "", cell.strip("*"))


def filled(table, rows):
    """The table's text with its cells replaced by those of RESULTS.md."""
    header, rule, *body = table.rstrip("\n").split("\n")
    columns = cells(header)
    lines = [header, rule]
    for line in body:
        own = cells(line)
        source = rows.get(own[0])
        if source:
            own[1:] = [plain(source.get(c, "—")) for c in columns[1:]]
        lines.append("| " + " | ".join(own) + " |")
    return "\n".join(lines) + "\n"


def refreshed(readme, results):
    """README.md with the cells of its tables replaced by the present ones of RESULTS.md."""
    def one(match):
        rows, _ = wanted(match[1], results)
        return "<!-- figures\n%s\n-->\n%s" % (match[1], filled(match[2], rows))
    return NOTE.sub(one, readme)


def wrong_tables(readme, results):
    """Complaints about F1."""
    complaints = []
    for note, table in NOTE.findall(readme):
        rows, wrong = wanted(note, results)
        complaints += wrong
        labels = [cells(line)[0] for line in table.rstrip("\n").split("\n")[2:]]
        complaints += ["row '%s' has no line in the comment before its table" % l for l in labels if l not in rows]
        complaints += ["the comment names a row '%s' that the table does not have" % l for l in rows if l not in labels]
        for old, new in zip(table.split("\n"), filled(table, rows).split("\n")):
            if cells(old) != cells(new):
                complaints.append("row '%s' is not that of RESULTS.md: %s" % (cells(old)[0], new))
    return complaints


def prose(readme):
    """The text that F2 applies to: without code, targets of links, comments and the tables of F1."""
    text = NOTE.sub("", readme)
    text = re.sub(r"<!-- handles:begin -->.*?\n\n    [^\n]*\n", "", text, flags=re.S)
    for out in (r"<!--.*?-->", r"^```.*?^```", r"^    .*?$", r"`[^`]*`", r"\]\([^)]*\)"):
        text = re.sub(out, " ", text, flags=re.S | re.M)
    return text


def numbers(text):
    """[(number, unit)]"""
    return [(n.replace(",", ""), unit.rstrip("s") if unit in ("bytes", "bits") else unit)
            for n, unit in NUMBER.findall(text)]


def known_cells(results):
    return [c.strip("*").replace(",", "") for _, _, rows in tables(results) for row in rows for c in row[1:]]


def same(number, cell):
    """Whether the number is the cell, rounded to the number's digits."""
    value = re.match(r"[+−-]?\d+(\.\d+)?", cell)
    if not value or "/" in number:
        return False
    digits, exact = len(number.partition(".")[2]), float(value[0].replace("−", "-"))
    return "%.*f" % (digits, exact) == number if digits else exact == float(number)


def unknown_numbers(readme, results, manual):
    """Numbers of the README that are neither in a manual page nor in the results (F2)."""
    told, shown = set(numbers(manual + results)), known_cells(results)
    return [" ".join(filter(None, n)) for n in dict.fromkeys(numbers(prose(readme)))
            if n not in told and not any(same(n[0], cell) for cell in shown)]
