"""A bar for each contender, a group for each workload, as SVG."""

from html import escape

WIDTH, NAMES, VALUES = 900, 300, 110
BAR, GAP, HEAD = 17, 5, 34
COLOURS = {"evs": "#d1495b", "peer": "#5b7c99", "floor": "#c9ced3"}


def svg(results, how):
    """The results on as many cores as there are; of what uses only one, on one."""
    rows, y = [], 58
    cores = max(one.cores for one in results)
    for title in dict.fromkeys(one.title for one in results):
        most = {one.name: one for one in sorted(results, key=lambda one: one.cores) if one.title == title}
        group = sorted(most.values(), key=lambda one: -one.rate)
        # The floor would make all others short: its bar is cut off where it leaves the picture.
        largest = max((one.rate for one in group if one.kind != "floor"), default=1)
        rows.append(f'<text x="16" y="{y + 14}" class="title">{escape(title)}</text>')
        y += HEAD - 10
        for one in group:
            rows.append(bar(one, largest, y, cores))
            y += BAR + GAP
        y += HEAD - 14
    head = f"Million lines a second on {cores} {'core' if cores == 1 else 'cores'}, whole process"
    foot = f"{how}. Grey: reading the log and counting newlines."
    return (
        "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 16}" '
            f'viewBox="0 0 {WIDTH} {y + 16}">',
                "<style>text { font: 13px sans-serif; fill: #24292f } .title { font-weight: bold } "
                ".head { font-size: 17px; font-weight: bold } "
            ".foot { font-size: 11px; fill: #57606a }</style>",
                '<rect width="100%" height="100%" fill="#ffffff"/>',
                f'<text x="16" y="32" class="head">{head}</text>',
                *rows,
                f'<text x="16" y="{y + 2}" class="foot">{escape(foot)}</text>',
                "</svg>",
            ]
        )
        + "\n"
    )


def bar(one, largest, y, cores):
    room = WIDTH - NAMES - VALUES
    # What is cut off is seen to be longer than all.
    width = min(one.rate / largest, 1.06) * room
    remark = ", not exact" * bool(one.wrong) + ", one core" * (one.cores < cores)
    name = one.name + remark
    arrow = " →" if one.rate > largest else ""
    weight = ' class="title"' if one.kind == "evs" else ""
    return (
        f'<text x="{NAMES - 8}" y="{y + 13}" text-anchor="end"{weight}>{escape(name)}</text>'
        f'<rect x="{NAMES}" y="{y}" width="{max(width, 1):.1f}" height="{BAR}" rx="2" '
        f'fill="{COLOURS[one.kind]}"/>'
        f'<text x="{NAMES + width + 6:.1f}" y="{y + 13}"{weight}>{one.rate:.3g}{arrow}</text>'
    )
