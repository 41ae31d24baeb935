"""Tables of measurements."""

from .common import Measurement, ordered_unique, select_unit, trim_sigfig, unit_to_english


class Compare:
    """Measurements as tables, one per label: a row per sub_label and env, a column per description,
    and a block per number of threads. ``print(Compare(results))``."""

    def __init__(self, results):
        self._results = []
        self.extend_results(results)
        self._trim = self._highlight = self._colors = False

    def __str__(self):
        return "\n".join(self._render())

    def extend_results(self, results):
        """Adds measurements; ValueError for anything else."""
        for r in results:
            if not isinstance(r, Measurement):
                raise ValueError(f"Expected an instance of `Measurement`, got {type(r)} instead.")
        self._results.extend(results)

    def trim_significant_figures(self):
        """Prints only figures that the spread of the times supports."""
        self._trim = True

    def colorize(self, rowwise=False):
        """Fast and slow times in colours: within a column, or within a row."""
        self._colors = "row" if rowwise else "column"

    def highlight_warnings(self):
        """Marks measurements with a large spread."""
        self._highlight = True

    def print(self):
        """Prints the tables."""
        print(str(self))

    def _render(self):
        groups = {}
        for m in Measurement.merge(self._results):
            groups.setdefault(m.task_spec.label, []).append(m)
        return ["\n".join(self._table(label, group)) for label, group in groups.items()]

    def _cell(self, m, scale, digits):
        value = m.median / scale
        if self._trim:
            value = trim_sigfig(value, m.significant_figures)
        text = f"{value:.{digits}f}"
        if self._highlight and m.has_warnings:
            text = f"(! {m.iqr / m.median * 100:.0f}%) {text}"
        return text

    def _color(self, text, m, group):
        if not self._colors:
            return text
        same = "as_row_name" if self._colors == "row" else None
        peers = [
            o.median for o in group
            if (o.as_row_name == m.as_row_name if same else o.task_spec.description == m.task_spec.description)
        ]  # fmt: skip
        share = m.median / min(peers)
        code = "\033[92m\033[1m" if share < 1.1 else "\033[34m" if share < 1.5 else "\033[2m\033[91m" if share > 2 else ""
        return f"{code}{text}\033[0m" if code else text

    def _table(self, label, group):
        unit, scale = select_unit(min(m.median for m in group))
        columns = ordered_unique(m.task_spec.description for m in group)
        threads = sorted({m.task_spec.num_threads for m in group})
        rows = ordered_unique((m.as_row_name, m.env) for m in group)
        with_env = len({env for _, env in rows}) > 1
        digits = 1 if min(m.median for m in group) / scale < 100 or not self._trim else 0
        cells = {}
        for m in group:
            cells[m.task_spec.num_threads, (m.as_row_name, m.env), m.task_spec.description] = m

        def name(row):
            return f"{row[0]}{f' ({row[1]})' if with_env and row[1] else ''}"

        first = max([len(name(r)) for r in rows] + [len(f"{threads[-1]} threads: ") - 6])
        widths = []
        for c in columns:
            texts = [self._cell(m, scale, digits) for (_, _, d), m in cells.items() if d == c]
            widths.append(max([len(c or "")] + [len(t) for t in texts]))
        body = ["  |  ".join([" " * (first + 6), *((c or "").center(w) for c, w in zip(columns, widths))])]
        total = len(body[0]) + 2
        for n in threads:
            body.append(f"{n} threads: ".ljust(total, "-"))
            for r in rows:
                row = [f"      {name(r)}".ljust(first + 6)]
                for c, w in zip(columns, widths):
                    m = cells.get((n, r, c))
                    text = "" if m is None else self._cell(m, scale, digits)
                    row.append(text.rjust(w) if m is None else self._color(text.rjust(w), m, group))
                if any(cells.get((n, r, c)) is not None for c in columns):
                    body.append("  |  ".join(row))
        title = f" {label} " if label is not None else ""
        return [f"[{title.center(max(total - 2, 0), '-')}]", *body, "", f"Times are in {unit_to_english(unit)}s ({unit})."]
