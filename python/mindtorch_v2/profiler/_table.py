"""The text table of events and averages.

Reference behaviour: the text that PyTorch 2.13 prints, and one line more with the totals.
"""

from ..autograd.profiler_util import _format_memory, _format_time, _format_time_share

_WIDTH = 12  # of columns of figures
_GAP = 2
_FLOP_UNITS = ["FLOPs", "KFLOPs", "MFLOPs", "GFLOPs", "TFLOPs", "PFLOPs"]


def _sorted(events, sort_by):
    if sort_by is None:
        return list(events)
    for device in ("cuda", "xpu", "privateuse1"):
        sort_by = sort_by.replace(device, "device")
    return sorted(events, key=lambda event: getattr(event, sort_by), reverse=True)


def _flop_scale(events):
    """(divisor, unit) by the smallest positive count, or None where nothing was counted."""
    from math import floor, log10

    counts = [event.flops for event in events if event.flops and event.flops > 0]
    if not counts:
        return None
    power = min(max(0, floor(log10(min(counts)) / 3)), len(_FLOP_UNITS) - 1)
    return 10 ** (3 * power), _FLOP_UNITS[power]


def _cut_left(text, width):
    return text if len(text) <= width else "..." + text[-(width - 3) :]


def _cut_right(text, width):
    return text if width is None or len(text) < width - 3 else text[: width - 3] + "..."


def build_table(
    events,
    sort_by,
    row_limit,
    max_src_column_width,
    max_name_column_width,
    max_shapes_column_width,
    header,
    profile_memory,
    with_flops,
    top_level_events_only,
    time_unit,
):
    """See EventList.table."""
    if len(events) == 0:
        return ""
    rows = _sorted(events, sort_by)
    stacks = any(event.stack for event in rows)
    shapes = any(event.input_shapes and event.input_shapes != "[]" for event in rows)
    overloads = any(event.overload_name for event in rows)
    nodes = any(event.node_id != -1 for event in rows)
    flops = _flop_scale(rows) if with_flops else None

    def widest(texts, limit):
        width = max(map(len, texts)) + 4
        return width if limit is None else min(width, limit)

    # ---- columns: (title, width, left aligned)
    name_width = widest([event.key for event in rows], max_name_column_width)
    columns = [("Name", name_width)]
    if overloads:
        columns.append(("Overload Name", name_width))
    columns += [
        (title, _WIDTH)
        for title in ("Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg")
    ]
    if profile_memory:
        columns += [("CPU Mem", _WIDTH), ("Self CPU Mem", _WIDTH)]
    columns.append(("# of Calls", _WIDTH))
    if nodes:
        columns.append(("Node ID", _WIDTH))
    if shapes:
        width = widest([str(event.input_shapes) for event in rows], max_shapes_column_width)
        columns.append(("Input Shapes", width))
    source_at = len(columns)
    if stacks:
        frames = [frame for event in rows for frame in event.stack or []]
        columns.append(("Source Location", widest(frames, max_src_column_width)))
    if flops:
        columns.append((f"Total {flops[1]}", _WIDTH))

    lines = []
    gap = " " * _GAP

    def put(cells):
        texts = []
        for i, ((_, width), cell) in enumerate(zip(columns, cells, strict=True)):
            left = stacks and i == source_at
            texts.append(cell.ljust(width) if left else cell.rjust(width))
        lines.append(gap.join(texts) + gap)

    rule = gap.join("-" * width for _, width in columns) + gap
    bar = "=" * (sum(width + _GAP for _, width in columns) - _GAP)
    total = sum(event.self_cpu_time_total for event in rows)

    if header is not None:
        lines += [bar, header]
    if top_level_events_only:
        lines += [bar, "This report only display top-level ops statistics"]
    lines.append(rule)
    put([title for title, _ in columns])
    lines.append(rule)

    # ---- rows
    count = 0
    for event in rows:
        if count == row_limit:
            break
        if top_level_events_only and event.cpu_parent is not None:
            continue
        count += 1
        share = _format_time_share(event.cpu_time_total, total) if not event.is_async else 0
        event.self_cpu_percent = _format_time_share(event.self_cpu_time_total, total)
        event.total_cpu_percent = share
        cells = [_cut_right(event.key, max_name_column_width)]
        if overloads:
            cells.append(_cut_right(event.overload_name or "", max_name_column_width))
        cells += [
            event.self_cpu_percent,
            _format_time(event.self_cpu_time_total, time_unit),
            str(share),
            _format_time(event.cpu_time_total, time_unit),
            _format_time(event.cpu_time, time_unit),
        ]
        if profile_memory:
            cells.append(_format_memory(event.cpu_memory_usage))
            cells.append(_format_memory(event.self_cpu_memory_usage))
        cells.append(str(event.count))
        if nodes:
            cells.append(str(event.node_id))
        if shapes:
            cells.append(str(event.input_shapes)[:max_shapes_column_width])
        stack = event.stack or []
        if stacks:
            cells.append(_cut_left(stack[0], columns[source_at][1]) if stack else "")
        if flops:
            known = event.flops and event.flops > 0
            cells.append(f"{event.flops / flops[0]:8.3f}" if known else "--")
        put(cells)
        if stacks:
            for frame in stack[1:]:
                empty = [""] * len(columns)
                empty[source_at] = _cut_left(frame, columns[source_at][1])
                put(empty)
            put([""] * len(columns))

    lines.append(rule)
    lines.append(f"Self CPU time total: {_format_time(total, time_unit)}")
    calls = sum(event.count for event in rows)
    lines.append(f"Total: {len(rows)} rows, Count: {calls} calls")
    return "\n".join(lines) + "\n"
