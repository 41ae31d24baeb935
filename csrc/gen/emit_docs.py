"""The operator reference: one Markdown page per table file, and an index of names.

    python -m csrc.gen --docs build/docs

An entry gives the schema, the forms it has in Python, the dtypes of a pointwise kernel, the
derivative's node and formulas, and the sentence that the table says about it.
"""

from __future__ import annotations

from .table import Entry

PLACES = {
    "function": "`torch.{}`", "method": "`Tensor.{}`", "nn": "`torch._C._nn.{}`",
    "linalg": "`torch.linalg.{}`", "special": "`torch.special.{}`", "fft": "`torch.fft.{}`",
}  # fmt: skip


def forms(e: Entry, variants: list[Entry]) -> str:
    """Where Python finds the operator, and which variants follow from it."""
    name = e.schema.name
    shown = [
        PLACES.get(place, "`torch._C._" + place + ".{}`").format(
            name.removeprefix(place + "_") if place in ("linalg", "special", "fft") else name
        )
        for place in e.py
    ]
    for v in variants:
        shown.append(f"`{v.schema.name}`" if v.variant == "inplace" else "`out=`")
    return ", ".join(dict.fromkeys(shown))


def entry(e: Entry, variants: list[Entry]) -> list[str]:
    lines = [f"### {e.schema.full_name.removeprefix('aten::')}", "", f"`{e.schema.text()}`", ""]
    if e.doc:
        lines += [e.doc, ""]
    lines.append(f"- Forms: {forms(e, variants)}")
    if e.dtypes:
        lines.append(f"- Element types: {', '.join(sorted(e.dtypes))}")
    if any(f == "@not_implemented" for f in e.grad.values()):
        lines.append("- Derivative: not implemented, as in PyTorch")
    elif e.grad:
        lines += [f"- Derivative of `{k}`: `{' '.join(v.split())}`" for k, v in e.grad.items()]
    elif e.family == "composite":
        lines.append("- Made of other operators; derivatives follow from theirs")
    else:
        lines.append("- No derivative")
    return [*lines, ""]


def emit_docs(entries: list[Entry]) -> dict[str, str]:
    """Markdown texts by file name."""
    variants: dict[int, list[Entry]] = {}
    for e in entries:
        if e.functional is not None:
            variants.setdefault(id(e.functional), []).append(e)
    groups: dict[str, list[Entry]] = {}
    for e in entries:
        if e.variant == "functional" and e.py and not e.hidden and e.family != "alias":
            groups.setdefault(e.group, []).append(e)
    pages, index = {}, ["# Operators", "", "Made from `csrc/ops/table` by `make docs`.", ""]
    for group, members in sorted(groups.items()):
        members.sort(key=lambda e: e.schema.full_name)
        lines = [f"# {group}", ""]
        for e in members:
            lines += entry(e, variants.get(id(e), []))
        pages[f"{group}.md"] = "\n".join(lines)
        names = list(dict.fromkeys(e.schema.name for e in members))
        links = ", ".join(f"[{n}]({group}.md)" for n in names)
        index += [f"## {group}", "", f"{len(members)} overloads of {len(names)} names: {links}", ""]
    return {"README.md": "\n".join(index), **pages}
